package catalogue

import (
	"context"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
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
