// Command controls takes the control of each hazard out of a copy of the tree, one at a time, and runs the test
// that has to notice. It fails when a test stays green, or fails for another reason than its own.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"primum/plugins/lab/controls"
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "controls:", err)
		os.Exit(1)
	}
}

// run tries the controls that are named, or all.
func run(ctx context.Context, only []string) error {
	all, err := controls.Read("plugins/lab/controls")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "primum-controls-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(ctx, dir); err != nil {
		return err
	}
	tried, stayed := 0, 0
	for _, c := range all {
		if len(only) > 0 && !strings.Contains(strings.Join(only, " "), c.Hazard) {
			continue
		}
		tried++
		began := time.Now()
		red, why, err := try(ctx, dir, c)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Hazard, err)
		}
		verdict := "red, as it has to be"
		if !red {
			stayed++
			verdict = "NOT RED: " + why
		}
		fmt.Printf("%s  %-75s %s (%s)\n", c.Hazard, c.Test, verdict, time.Since(began).Round(time.Second))
	}
	fmt.Printf("%d controls taken out, %d tests did not notice\n", tried, stayed)
	if tried == 0 || stayed > 0 {
		return fmt.Errorf("%d of %d controls are not shown to be needed", stayed, tried)
	}
	return nil
}

// copyTree copies what git has, with what was changed since.
func copyTree(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", `git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$1"`, "sh", dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("copy the tree: %w", err)
	}
	peer := "agent/testdata/node-mllp/node_modules"
	if _, err := os.Stat(peer); err == nil {
		return os.CopyFS(filepath.Join(dir, peer), os.DirFS(peer))
	}
	return nil
}

// try takes one control out, runs its test, and puts the control back.
func try(ctx context.Context, dir string, c controls.Control) (red bool, why string, err error) {
	path := filepath.Join(dir, filepath.FromSlash(c.File))
	was, err := os.ReadFile(path)
	if err != nil {
		return false, "", err
	}
	defer func() {
		if back := os.WriteFile(path, was, 0o600); err == nil {
			err = back
		}
	}()
	if err := c.TakeOut(dir); err != nil {
		return false, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-run", "^"+c.Test+"$", c.Package)
	cmd.Dir = dir
	out, testErr := cmd.CombinedOutput()
	text := string(out)
	switch {
	case testErr == nil:
		return false, "the test stays green", nil
	case strings.Contains(text, "[build failed]"), strings.Contains(text, "[setup failed]"):
		return false, "it does not build: " + strings.TrimSpace(text), nil
	case !strings.Contains(text, "--- FAIL: "+c.Test), strings.Contains(text, "no tests to run"):
		return false, "it fails in another way: " + strings.TrimSpace(text), nil
	default:
		return true, "", nil
	}
}
