package main

import (
	"context"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	cedar "github.com/cedar-policy/cedar-go"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

func cedarEngine(all []fact) (engine, error) {
	var b strings.Builder
	for _, f := range all {
		effect := "permit"
		if f.deny {
			effect = "forbid"
		}
		fmt.Fprintf(&b, "%s (principal, action == Action::\"snmp.get\", resource == Model::%q) when { context.version == %q && context.port == 161 && context.oids == %q };\n",
			effect, f.maker+"/"+f.model, f.version, oid)
	}
	policies, err := cedar.NewPolicySetFromBytes("bench", []byte(b.String()))
	if err != nil {
		return engine{}, fmt.Errorf("cedar: %w", err)
	}
	return engine{"cedar-go", func(a ask) (bool, error) {
		decision, _ := cedar.Authorize(policies, cedar.EntityMap{}, cedar.Request{
			Principal: cedar.NewEntityUID("Agent", "one"), Action: cedar.NewEntityUID("Action", "snmp.get"), Resource: cedar.NewEntityUID("Model", cedar.String(a.product)),
			Context: cedar.NewRecord(cedar.RecordMap{"version": cedar.String(a.version), "port": cedar.Long(161), "oids": cedar.String(oid)})})
		return decision == cedar.Allow, nil
	}}, nil
}

// tables are the statements as data: a product's denied versions and its allowances.
func tables(all []fact) (denied map[string]any, allows map[string]any) {
	denied, allows = map[string]any{}, map[string]any{}
	for _, f := range all {
		key := f.maker + "/" + f.model
		if f.deny {
			denied[key] = map[string]any{"versions": map[string]any{f.version: true}}
			continue
		}
		allows[key] = map[string]any{"versions": map[string]any{f.version: true}, "port": 161, "oids": oid}
	}
	return denied, allows
}

func celEngine(all []fact) (engine, error) {
	denied, allows := tables(all)
	env, err := cel.NewEnv(cel.Variable("denied", cel.MapType(cel.StringType, cel.DynType)), cel.Variable("allows", cel.MapType(cel.StringType, cel.DynType)),
		cel.Variable("product", cel.StringType), cel.Variable("version", cel.StringType), cel.Variable("port", cel.IntType), cel.Variable("oids", cel.StringType))
	if err != nil {
		return engine{}, fmt.Errorf("cel: %w", err)
	}
	ast, issues := env.Compile(`!(product in denied && version in denied[product].versions) && product in allows && version in allows[product].versions && allows[product].port == port && allows[product].oids == oids`)
	if issues.Err() != nil {
		return engine{}, fmt.Errorf("cel: %w", issues.Err())
	}
	program, err := env.Program(ast)
	if err != nil {
		return engine{}, fmt.Errorf("cel: %w", err)
	}
	return engine{"cel-go", func(a ask) (bool, error) {
		v, _, err := program.Eval(map[string]any{"denied": denied, "allows": allows, "product": a.product, "version": a.version, "port": 161, "oids": oid})
		if err != nil {
			return false, err
		}
		allowed, ok := v.Value().(bool)
		if !ok {
			return false, fmt.Errorf("cel: %v is no decision", v)
		}
		return allowed, nil
	}}, nil
}

const policy = `package bench

default allow := false

denied if data.denied[input.product].versions[input.version]

allow if {
	not denied
	a := data.allows[input.product]
	a.versions[input.version]
	a.port == input.port
	a.oids == input.oids
}
`

func opaEngine(all []fact) (engine, error) {
	denied, allows := tables(all)
	ctx := context.Background()
	query, err := rego.New(rego.Query("data.bench.allow"), rego.Module("bench.rego", policy), rego.Store(inmem.NewFromObject(map[string]any{"denied": denied, "allows": allows}))).PrepareForEval(ctx)
	if err != nil {
		return engine{}, fmt.Errorf("opa: %w", err)
	}
	return engine{"opa", func(a ask) (bool, error) {
		r, err := query.Eval(ctx, rego.EvalInput(map[string]any{"product": a.product, "version": a.version, "port": 161, "oids": oid}))
		if err != nil {
			return false, err
		}
		return r.Allowed(), nil
	}}, nil
}
