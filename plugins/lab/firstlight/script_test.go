package firstlight

import (
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var update = flag.Bool("update", false, "write what the programs said into the scripts")

// Scripts are what a person types, with what the programs really said. Commands of their own: lists DIR
// copies the shipped list files, controller ROOT starts one and waits until it takes calls, and exits CODE COMMAND holds a
// command to its exit code.
func TestScripts(t *testing.T) {
	bin := filepath.Dir(program("primum"))
	shipped, err := filepath.Abs("../../../safetylists/lists")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(4 * time.Minute),
		Setup: func(e *testscript.Env) error {
			e.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			e.Setenv("PRIMUM_HOME", filepath.Join(e.WorkDir, "controller"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"lists": func(ts *testscript.TestScript, _ bool, args []string) {
				names, err := filepath.Glob(filepath.Join(shipped, "*.yaml"))
				ts.Check(err)
				for _, name := range names {
					text, err := os.ReadFile(name)
					ts.Check(err)
					ts.Check(os.MkdirAll(ts.MkAbs(args[0]), 0o755))
					ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(args[0]), filepath.Base(name)), text, 0o644))
				}
			},
			"controller": func(ts *testscript.TestScript, _ bool, args []string) {
				s := &site{t: t, dir: ts.Getenv("WORK")}
				p := s.start("primum-controller", "serve", "--data", s.path("controller"), "--admin", "127.0.0.1:0", "--control", "127.0.0.1:0", "--list-root", ts.MkAbs(args[0]))
				ts.Defer(p.kill)
				s.there("controller/admin.token")
				s.there("controller/admin.address")
			},
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				err := ts.Exec(args[1], args[2:]...)
				code := 0
				if of := (*exec.ExitError)(nil); errors.As(err, &of) {
					code = of.ExitCode()
				} else {
					ts.Check(err)
				}
				if strconv.Itoa(code) != args[0] {
					ts.Fatalf("exit %d, not %s", code, args[0])
				}
			},
			"expand": func(ts *testscript.TestScript, _ bool, args []string) { // FILE NAME: puts a file's first line in place of @NAME@
				text := ts.ReadFile(args[0])
				for _, name := range args[1:] {
					line, _, _ := strings.Cut(ts.ReadFile(name), "\n")
					text = strings.ReplaceAll(text, "@"+name+"@", line)
				}
				ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o644))
			},
		},
	})
}
