package sandbox

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// B6: whoever swaps the binary while it is verified gets either the verified one or a refusal.
func TestABinaryThatIsSwappedInTheMeantimeIsNeverTheImage(t *testing.T) {
	const tries = 3_000
	dir := t.TempDir()
	good, evil := bytes.Repeat([]byte("good"), 4096), bytes.Repeat([]byte("evil"), 4096)
	path := filepath.Join(dir, "plugin")
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var swapper sync.WaitGroup
	swapper.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			content := [][]byte{good, evil}[i%2]
			if i%3 == 0 { // in place, in two parts
				if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
					_, _ = f.Write(content[:len(content)/2])
					_, _ = f.WriteAt(content[len(content)/2:], int64(len(content)/2))
					_ = f.Close()
				}
				continue
			}
			if os.WriteFile(path+".new", content, 0o600) == nil {
				_ = os.Rename(path+".new", path)
			}
		}
	})
	taken, refused := 0, 0
	for range tries {
		image, err := Seal(path, sha256.Sum256(good))
		if errors.Is(err, ErrHash) {
			refused++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		taken++
		got, err := io.ReadAll(io.NewSectionReader(image.file, 0, 1<<20))
		if err != nil || !bytes.Equal(got, good) {
			t.Fatalf("try %d: the image is another: %v", taken+refused, err)
		}
		if _, err := image.file.WriteAt([]byte("evil"), 0); err == nil {
			t.Fatal("the image can be written")
		}
		if err := image.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	swapper.Wait()
	t.Logf("%d tries: %d taken, %d refused", tries, taken, refused)
	if taken == 0 || refused == 0 {
		t.Error("the swaps hit nothing")
	}
}
