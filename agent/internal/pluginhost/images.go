package pluginhost

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"primum/plugins/sandbox"
)

// images are the sealed binaries. All processes of a plugin run from one: it is read and verified once, and
// lies in memory once.
type images struct {
	mu sync.Mutex
	of map[[32]byte]*sandbox.Image
}

func (i *images) seal(b Binary) (*sandbox.Image, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if image, ok := i.of[b.SHA256]; ok {
		return image, nil
	}
	image, err := sandbox.Seal(b.Path, b.SHA256)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", sandbox.ErrNotRun, b.Path, err)
	}
	i.of[b.SHA256] = image
	return image, nil
}

// start starts one process.
func (i *images) start(ctx context.Context, c Config, b Binary) (process, error) {
	image, err := i.seal(b)
	if err != nil {
		return nil, err
	}
	p, err := sandbox.Start(ctx, sandbox.Spec{Path: b.Path, SHA256: b.SHA256, Image: image, Dir: c.Dir, Trust: b.Trust, Confinement: c.Confinement, Unconfined: c.Unconfined, Log: c.Log})
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (i *images) close() (err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, image := range i.of {
		err = errors.Join(err, image.Close())
	}
	clear(i.of)
	return err
}
