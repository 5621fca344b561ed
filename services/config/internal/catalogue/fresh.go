package catalogue

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// Fresh asks the org what it has of an object now, whatever the age of what is known (XC-38); nil when there is none for the
// connection's user. The error is the org's, or the store's.
func (c *Catalogue) Fresh(ctx context.Context, conn *configv1.Connection, object string) (*configv1.DescribedObject, error) {
	row, _, err := c.ask(ctx, question{conn: conn, object: object, full: true})
	if err != nil {
		return nil, err
	}
	return decodeObject(row)
}

// pushed adds the objects, by connection, that a workspace's switched-on report pushes write.
func (c *Catalogue) pushed(ctx context.Context, workspace string, objects map[string][]string) error {
	docs, err := c.deps.Settings.List(ctx, workspace, store.KindReportPush)
	if err != nil {
		return err
	}
	for _, doc := range docs {
		push := &configv1.ReportPush{}
		if err := proto.Unmarshal(doc.Body, push); err != nil {
			return fmt.Errorf("decode push %s of workspace %s: %w", doc.ID, workspace, err)
		}
		if push.GetEnabled() {
			objects[push.GetConnection()] = append(objects[push.GetConnection()], push.GetObject())
		}
	}
	return nil
}
