// Command bench measures a decision of the safety list beside three general policy engines that decide
// the same thing in the same run: Cedar (one policy a statement), CEL and OPA (one rule over the
// statements as data, which is how they are meant to be used at this size). The engines live in this
// nested module only; the product does not know them.
//
// They decide less than the safety list does: one spelling of a name, a version that is in a list, the
// exact question. No word matching, no several sources, no sign-offs, no limits. So the ratio flatters
// them. Run it with make bench.
package main
