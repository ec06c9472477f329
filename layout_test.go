// Package primum_test holds the layout of the whole tree: which room may import which (DESIGN 5).
package primum_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule is one row of the "never" column. A room ending in /... is every package below it.
type rule struct {
	room    string
	closure []string // forbidden in the whole import closure
	own     []string // forbidden among the room's own imports
}

func rules() []rule {
	houses := func(but ...string) []string {
		var out []string
		for _, h := range []string{"primum/agent", "primum/controller", "primum/plugins", "primum/proto"} {
			if !slices.Contains(but, h) {
				out = append(out, h)
			}
		}
		return out
	}
	pure := append(houses(), "net", "database/sql")
	return []rule{
		{"primum/safetylists", append(pure, "primum/safetylists/lists"), []string{"os", "log", "log/slog", "primum"}},
		{"primum/safetylists/frame", pure, []string{"os", "log"}},
		{"primum/safetylists/budget", pure, []string{"os", "log"}},
		{"primum/safetylists/permit", append(pure, "crypto/x509"), []string{"os", "log"}},
		{"primum/safetylists/evidence", pure, []string{"os", "log"}},
		// go-tuf reaches net by crypto/x509, which names addresses and opens nothing; the rest of the net is barred one by one.
		{"primum/safetylists/release", append(houses(), "net/http", "net/rpc", "os/exec", "database/sql"), []string{"os", "log", "net"}},
		{"primum/safetylists/lists", pure, nil},
		{"primum/safetylists/vectors", pure, nil},
		{"primum/safetylists/letter", pure, []string{"os", "log"}},
		{"primum/plugins/sdk/...", []string{"primum/agent", "primum/controller", "primum/safetylists"}, nil},
		{"primum/plugins/snmp/...", []string{"primum/agent", "primum/controller", "primum/safetylists"}, []string{"net"}},
		{"primum/plugins/dicom/...", []string{"primum/agent", "primum/controller", "primum/safetylists"}, []string{"net"}},
		{"primum/plugins/hl7/...", []string{"primum/agent", "primum/controller", "primum/safetylists"}, []string{"net"}},
		{"primum/plugins/sandbox/...", []string{"primum/agent", "primum/controller", "primum/safetylists"}, nil},
		{"primum/plugins/manifest", []string{"primum/agent", "primum/controller", "primum/safetylists", "primum/proto"}, []string{"net", "os"}},
		{"primum/plugins/cmd/...", []string{"primum/agent", "primum/controller", "primum/safetylists", "primum/plugins/lab"}, []string{"net"}},
		{"primum/plugins/lab/...", []string{"primum/agent", "primum/controller", "primum/plugins/sdk"}, nil},
		{"primum/plugins/lab/relay", []string{"primum/agent", "primum/controller", "primum/plugins/sdk", "primum/safetylists", "primum/proto"}, nil},
		{"primum/agent/...", []string{"primum/controller", "primum/plugins/snmp", "primum/plugins/dicom", "primum/plugins/hl7", "primum/plugins/lab", "database/sql"}, nil},
		{"primum/agent/internal/uplink", nil, []string{"primum/agent/internal/guard", "primum/agent/internal/wire"}},
		{"primum/agent/internal/trust", nil, []string{"primum/agent/internal/wire"}},
		{"primum/agent/internal/task", []string{"primum/proto"}, []string{"net"}},
		{"primum/agent/internal/guard", []string{"primum/proto", "primum/agent/internal/pluginhost"}, []string{"net"}},
		{"primum/agent/internal/wire", []string{"primum/proto", "primum/agent/internal/pluginhost"}, nil},
		{"primum/agent/internal/pluginhost", nil, []string{"primum/agent/internal/journal"}},
		{"primum/agent/internal/installed", []string{"primum/proto"}, []string{"net", "primum/agent/internal/uplink"}},
		{"primum/agent/internal/whereabouts", []string{"primum/agent/internal/wire"}, nil},
		{"primum/agent/internal/secret", nil, []string{"primum/agent/internal/pluginhost", "log/slog"}},
		{"primum/agent/internal/journal", nil, []string{"net"}},
		{"primum/controller/...", []string{"primum/agent", "primum/plugins"}, nil},
		{"primum/controller/cmd/primum", nil, []string{"primum/controller/internal"}},
		{"primum/controller/internal/schedule", []string{"net", "database/sql"}, nil},
		{"primum/controller/internal/plan", []string{"net", "database/sql"}, nil},
		{"primum/controller/internal/identity", []string{"net", "database/sql"}, nil},
		{"primum/controller/internal/inventory", nil, []string{"net"}},
		{"primum/controller/internal/hold", nil, []string{"net"}},
		{"primum/controller/internal/wave", pure, []string{"os", "log", "primum"}},
		{"primum/controller/internal/distress", nil, []string{"net", "primum/controller/internal/dispatch"}},
		{"primum/controller/internal/report", nil, []string{"net"}},
		{"primum/controller/internal/approve", nil, []string{"primum/controller/internal/dispatch"}},
		{"primum/controller/internal/api", nil, []string{"database/sql"}},
		{"primum/controller/internal/store", nil, []string{"primum/controller/internal", "primum/proto"}},
		{"primum/controller/internal/console", nil, []string{"primum/controller/internal/store"}},
	}
}

// planned are rooms of the table that are being built; remove a name here when its room is there.
func planned() []string {
	return []string{
		"primum/controller/internal/console",
	}
}

type pkg struct {
	ImportPath, Doc, Dir string
	Standard             bool
	Imports, Deps        []string
	GoFiles              []string
}

func graph(t *testing.T) map[string]pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Dir,Standard,Imports,Deps,GoFiles", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	all := map[string]pkg{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[p.ImportPath] = p
	}
}

func within(path, room string) bool {
	room = strings.TrimSuffix(room, "/...")
	return path == room || strings.HasPrefix(path, room+"/")
}

// forbids reports whether path falls under the forbidden name. "net" bans network access, not the
// pure net/netip and net/url; "primum" bans every package of ours; a standard name means itself.
func forbids(name, path string) bool {
	switch {
	case name == "net":
		return path == "net" || strings.HasPrefix(path, "net/") && path != "net/netip" && path != "net/url"
	case strings.HasPrefix(name, "primum"):
		return within(path, name)
	default:
		return path == name
	}
}

func TestForbiddenNamesMeanWhatTheySay(t *testing.T) {
	for _, c := range []struct {
		name, path string
		want       bool
	}{
		{"net", "net", true}, {"net", "net/http", true}, {"net", "net/netip", false}, {"net", "net/url", false}, {"net", "netip", false},
		{"primum/agent", "primum/agent/internal/wire", true}, {"primum/agent", "primum/agents", false}, {"primum", "primum/proto", true},
		{"log", "log", true}, {"log", "log/slog", false},
	} {
		if got := forbids(c.name, c.path); got != c.want {
			t.Errorf("%s forbids %s: %v", c.name, c.path, got)
		}
	}
}

func TestRoomsImportOnlyWhatTheyMay(t *testing.T) {
	all := graph(t)
	for _, r := range rules() {
		found := false
		for path, p := range all {
			if path != r.room && !(strings.HasSuffix(r.room, "/...") && within(path, r.room)) {
				continue
			}
			found = true
			for list, paths := range map[*[]string][]string{&r.closure: p.Deps, &r.own: p.Imports} {
				for _, name := range *list {
					for _, dep := range paths {
						if forbids(name, dep) {
							t.Errorf("%s reaches %s: %s is forbidden to it", path, dep, name)
						}
					}
				}
			}
		}
		if !found && !slices.Contains(planned(), r.room) {
			t.Errorf("there is no room %s: the rule holds nothing", r.room)
		}
	}
}

func TestPackagesSayWhatTheyAreAndHaveRealNames(t *testing.T) {
	for path, p := range graph(t) {
		name := filepath.Base(path)
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc"}, name) {
			t.Errorf("%s: the name says nothing", path)
		}
		if p.Doc == "" && len(p.GoFiles) > 0 && !strings.HasPrefix(path, "primum/proto/") {
			t.Errorf("%s has no package comment", path)
		}
	}
}

// source is one parsed Go file.
type source struct {
	path      string // from the root, with slashes
	file      *ast.File
	generated bool
}

func sources(t *testing.T) (all []source) {
	t.Helper()
	files := token.NewFileSet()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		all = append(all, source{filepath.ToSlash(path), f, ast.IsGenerated(f)})
		return nil
	})
	if err != nil || len(all) < 100 {
		t.Fatalf("%d Go files: %v", len(all), err)
	}
	return all
}

// selectors calls see with each selector x.Name of a file, x as written.
func selectors(f *ast.File, see func(x, name string)) {
	ast.Inspect(f, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			x := ""
			if id, ok := s.X.(*ast.Ident); ok {
				x = id.Name
			}
			see(x, s.Sel.Name)
		}
		return true
	})
}

func TestNobodyDialsButThoseWhoMay(t *testing.T) {
	may := []string{"agent/internal/wire/", "agent/internal/uplink/", "plugins/lab/", "plugins/sandbox/", "controller/cmd/primum/"}
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") || slices.ContainsFunc(may, func(room string) bool { return strings.HasPrefix(s.path, room) }) {
			continue
		}
		selectors(s.file, func(x, name string) {
			if x == "net" && strings.HasPrefix(name, "Dial") {
				t.Errorf("%s uses net.%s", s.path, name)
			}
		})
	}
}

// A level lower than the machine's is for tests: nothing that ships may ask for one.
func TestNobodyShipsALowerSandbox(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") || s.path == "plugins/sandbox/confine/prove.go" {
			continue
		}
		selectors(s.file, func(x, name string) {
			if name == "ProveAtMost" {
				t.Errorf("%s uses %s.%s", s.path, x, name)
			}
		})
	}
}

func TestNobodyLetsGosnmpConnect(t *testing.T) {
	for _, s := range sources(t) {
		if !slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool { return strings.Contains(i.Path.Value, "gosnmp/gosnmp") }) {
			continue
		}
		selectors(s.file, func(_, name string) {
			if strings.HasPrefix(name, "Connect") {
				t.Errorf("%s calls %s of gosnmp, which opens a socket (DESIGN 6.12)", s.path, name)
			}
		})
	}
}

func TestNothingRunsBeforeMainAndNoTestIsSkipped(t *testing.T) {
	for _, s := range sources(t) {
		if s.generated {
			continue
		}
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
				t.Errorf("%s has an init function", s.path)
			}
		}
		if !strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		selectors(s.file, func(x, name string) {
			if (x == "t" || x == "b" || x == "f") && slices.Contains([]string{"Skip", "Skipf", "SkipNow"}, name) {
				t.Errorf("%s: %s.%s", s.path, x, name)
			}
		})
	}
}

// Every hazard has its row with a control, and every test that a row names exists.
func TestEveryHazardNamesItsControlAndATestThatExists(t *testing.T) {
	text, err := os.ReadFile("HAZARDS.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil {
				tests[f.Name.Name] = true
			}
		}
	}
	n, last := 0, ""
	for line := range strings.SplitSeq(string(text), "\n") {
		if !strings.HasPrefix(line, "| H-") {
			continue
		}
		n++
		cells := strings.Split(strings.Trim(line, "|"), "|")
		id := strings.TrimSpace(cells[0])
		if want := fmt.Sprintf("H-%03d", n); len(cells) != 5 || id <= last || n <= 36 && id != want { // those of WIRE-RULES have every number
			t.Fatalf("row %d does not have five cells and a number after %q: %s", n, last, line)
		}
		last = id
		if strings.TrimSpace(cells[3]) == "" {
			t.Errorf("%s: no control", strings.TrimSpace(cells[0]))
		}
		for name := range strings.SplitSeq(cells[4], ",") {
			if name = strings.TrimSpace(name); name != "no test yet" && !tests[name] {
				t.Errorf("%s: no test %q", strings.TrimSpace(cells[0]), name)
			}
		}
	}
	if n < 36 { // those of WIRE-RULES 5.2; none goes away
		t.Errorf("%d hazards, want 36 or more", n)
	}
}

func TestEveryModuleInTheProgramsIsInTheNotices(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}| {{.Path}} | {{.Version}} |{{end}}{{end}}", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	notices, err := os.ReadFile("THIRD-PARTY.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for line := range strings.Lines(string(out)) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		rows++
		if !strings.Contains(string(notices), "\n"+line) {
			t.Errorf("THIRD-PARTY.md has no row %s", line)
		}
	}
	if rows == 0 {
		t.Error("go list names no module")
	}
}

// The rules of the wire (G: TCP, UDP and IP; S: SNMP; D: DICOM; H: HL7; B: guard and plugins) that hold for what is built: each
// stands by its id in the code that carries it out and in a test or a vector. What paces between the
// conversations (G8 to G12) is cited where it is built.
func TestEveryRuleOfTheWireIsCitedInCodeAndNamedByATest(t *testing.T) {
	ids := map[string]int{"G": 9, "S": 11, "D": 11, "H": 13, "B": 11}
	code, tests := map[string]bool{}, map[string]bool{}
	word := regexp.MustCompile(`\b[GSDHB][0-9]{1,2}\b`)
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		into := code
		switch {
		case strings.HasSuffix(path, "_test.go"), strings.HasSuffix(path, ".vec"):
			into = tests
		case !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, ".pb.go"):
			return nil
		}
		if path == "layout_test.go" {
			return nil
		}
		b, err := os.ReadFile(path)
		for _, id := range word.FindAll(b, -1) {
			into[string(id)] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for group, n := range ids {
		for i := 1; i <= n; i++ {
			id := fmt.Sprintf("%s%d", group, i)
			if !code[id] || !tests[id] {
				t.Errorf("%s: cited in code %v, named by a test %v", id, code[id], tests[id])
			}
		}
	}
}
