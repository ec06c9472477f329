package safetylists

import "slices"

// Manufacturers returns the names of manufacturers that the product of the statement is of, folded as
// [SameName] folds them.
func (s *Statement) Manufacturers() []string { return slices.Clone(s.Product.manufacturers) }

// AnyManufacturer reports whether the statement speaks of the products of everybody.
func (s *Statement) AnyManufacturer() bool { return s.Product.anyMaker }

// ObjectIDs returns the sysObjectID values by which a fingerprint knows its product.
func (s *Statement) ObjectIDs() []OID { return slices.Clone(s.objectIDs) }

// Refuses reports whether the statement can only ever refuse: a deny, a forbid_port or a stack_hazard.
func (s *Statement) Refuses() bool {
	return s.Type != Allow && s.Type != Note && s.Type != Fingerprint
}
