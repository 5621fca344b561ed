package settings

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// savedContext binds a saved snapshot to its purpose.
var savedContext = []byte("throughline/settings-snapshot/v1")

// saveChanges saves the newest view whenever there is one, until none can come any more and the last one is saved. Saving takes
// its time and must not hold up what comes next: views that come meanwhile are passed over.
func (c *Client) saveChanges(ctx context.Context, watched <-chan struct{}) {
	for {
		select {
		case <-c.unsaved:
		case <-watched:
			select {
			case <-c.unsaved:
			default:
				return
			}
		}
		view := c.View()
		if err := c.save(view.snapshot()); err != nil {
			c.deps.Logger.ErrorContext(ctx, "settings are in use but could not be saved; a restart while config is away would wait",
				"revision", view.Revision(), "error", err)
		}
	}
}

// save replaces the saved snapshot so that a crash leaves the old or the new one, never half of one.
func (c *Client) save(snapshot *configv1.Snapshot) error {
	if c.cfg.SavePath == "" {
		return nil
	}
	plain, err := proto.Marshal(snapshot)
	if err != nil {
		return fmt.Errorf("save settings: %w", err)
	}
	// With the newest key, or the saved one would need an old key for longer. What is in memory does otherwise.
	_, _ = c.deps.Installation.Reload()
	sealed, err := c.deps.Installation.Seal(plain, savedContext)
	if err != nil {
		return fmt.Errorf("save settings: %w", err)
	}
	if err := replaceFile(c.cfg.SavePath, sealed); err != nil {
		return fmt.Errorf("save settings: %w", err)
	}
	return nil
}

func replaceFile(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(dir, ".settings-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// restore starts from the saved snapshot. A missing or damaged one is no reason to stop: config will send another.
func (c *Client) restore() {
	if c.cfg.SavePath == "" {
		return
	}
	snapshot, err := c.load()
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err == nil {
		var view *View
		if view, err = NewView(snapshot, c.deps.Installation); err == nil {
			c.publish(view)
			c.deps.Logger.Info("starting from saved settings", "revision", view.Revision())
			return
		}
	}
	c.deps.Logger.Warn("saved settings cannot be used; waiting for the config service", "error", err)
}

func (c *Client) load() (*configv1.Snapshot, error) {
	sealed, err := os.ReadFile(c.cfg.SavePath)
	if err != nil {
		return nil, err
	}
	plain, err := c.deps.Installation.Open(sealed, savedContext)
	if err != nil {
		return nil, err
	}
	snapshot := &configv1.Snapshot{}
	if err := proto.Unmarshal(plain, snapshot); err != nil {
		return nil, fmt.Errorf("decode saved settings: %w", err)
	}
	return snapshot, nil
}
