package privacy

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// orgOf names the org that a connection is with, for a write to it: the writer makes none that is for another (LOOM-14). A
// connection that is gone is with none.
func (w *Worker) orgOf(ctx context.Context, workspace, connection string) (string, error) {
	doc, err := w.deps.Documents.Get(ctx, store.Key{Workspace: workspace, Kind: store.KindConnection, ID: connection})
	if errors.Is(err, store.ErrNotFound) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	c := &configv1.Connection{}
	if err := proto.Unmarshal(doc.Body, c); err != nil {
		return "", fmt.Errorf("decode connection %s of workspace %s: %w", connection, workspace, err)
	}
	org, _ := settings.OrgOf(c)
	return org, nil
}
