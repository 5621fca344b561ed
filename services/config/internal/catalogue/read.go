package catalogue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// everything is the name under which the list of objects is kept.
const everything = ""

// Described is what is known of an object.
type Described struct {
	// Object is nil when there is none for the connection's user.
	Object *configv1.DescribedObject
	// AskedAt is when the org last said so.
	AskedAt time.Time
	// Old is why the org could not be asked again although the answer is old; nil when it is not.
	Old error
}

// Object returns what is known of an object and asks the org if that is nothing or too old. The error means that nothing is
// known and the org could not be asked.
func (c *Catalogue) Object(ctx context.Context, conn *configv1.Connection, object string) (Described, error) {
	row, old, err := c.row(ctx, conn, object)
	if err != nil {
		return Described{}, err
	}
	out := Described{AskedAt: row.AskedAt, Old: old}
	out.Object, err = decodeObject(row)
	return out, err
}

// Objects returns the objects of an org, by name, and when it said so.
func (c *Catalogue) Objects(ctx context.Context, conn *configv1.Connection) ([]*configv1.ObjectSummary, time.Time, error) {
	row, _, err := c.row(ctx, conn, everything)
	if err != nil {
		return nil, time.Time{}, err
	}
	list := &configv1.ObjectSummaries{}
	if err := proto.Unmarshal(row.Body, list); err != nil {
		return nil, time.Time{}, fmt.Errorf("decode the objects of connection %s, workspace %s: %w", row.Connection, row.Workspace, err)
	}
	return list.GetObjects(), row.AskedAt, nil
}

// row returns what is kept, fresh if possible; old is why it is not.
func (c *Catalogue) row(ctx context.Context, conn *configv1.Connection, object string) (row store.Describe, old, err error) {
	if row, ok, err := c.fresh(ctx, conn, object); ok || err != nil {
		return row, nil, err
	}
	if err := c.known(conn, c.deps.Clock.Now()); err != nil {
		return c.aged(ctx, conn, object, err)
	}
	asked, _, err := c.ask(ctx, question{conn: conn, object: object, unlessFresh: true})
	if err != nil {
		return c.aged(ctx, conn, object, err)
	}
	return asked, nil, nil
}

// aged returns an answer that is too old, because of why; without one, why is the error.
func (c *Catalogue) aged(ctx context.Context, conn *configv1.Connection, object string, why error) (store.Describe, error, error) {
	row, known, err := c.kept(ctx, conn, object)
	if err != nil || !known {
		return store.Describe{}, nil, errors.Join(why, err)
	}
	return row, why, nil
}

// kept reads what the store has, if it is what the connection as it is now was told. Promise 9: the key names the workspace.
func (c *Catalogue) kept(ctx context.Context, conn *configv1.Connection, object string) (store.Describe, bool, error) {
	row, err := c.deps.Describes.Describe(ctx, store.DescribeKey{Workspace: conn.GetWorkspace(), Connection: conn.GetId(), Object: object})
	if errors.Is(err, store.ErrNotFound) {
		return store.Describe{}, false, nil
	}
	return row, err == nil && row.ConnectionVersion == conn.GetVersion(), err
}

func (c *Catalogue) fresh(ctx context.Context, conn *configv1.Connection, object string) (store.Describe, bool, error) {
	row, known, err := c.kept(ctx, conn, object)
	return row, known && c.deps.Clock.Now().Before(row.AskedAt.Add(c.cfg.RefreshEvery)), err
}

// question is what to ask an org.
type question struct {
	conn   *configv1.Connection
	object string
	// unlessFresh asks nothing when somebody else has asked while we waited for our turn.
	unlessFresh bool
	// full wants the whole answer, whatever the org's time stamp says.
	full bool
}

// ask asks the org, keeps the answer and reports whether it is another one than before. Whoever asks is not waited for
// longer than ctx lasts.
func (c *Catalogue) ask(ctx context.Context, q question) (row store.Describe, changed bool, err error) {
	if err := c.lanes.enter(ctx, keyOf(q.conn)); err != nil {
		return store.Describe{}, false, err
	}
	row, changed, err = c.inTurn(ctx, q)
	c.lanes.leave(keyOf(q.conn))
	if err == nil && changed {
		if err := c.Judge(ctx, q.conn); err != nil && ctx.Err() == nil {
			c.deps.Logger.ErrorContext(ctx, "an org changed, and its integrations could not be judged; they will be with the next change",
				"workspace", q.conn.GetWorkspace(), "connection", q.conn.GetId(), "error", err)
		}
	}
	return row, changed, err
}

// inTurn asks while nobody else asks the same org.
func (c *Catalogue) inTurn(ctx context.Context, q question) (store.Describe, bool, error) {
	if q.unlessFresh {
		if row, ok, err := c.fresh(ctx, q.conn, q.object); ok || err != nil {
			return row, false, err
		}
	}
	before, known, err := c.kept(ctx, q.conn, q.object)
	if err != nil {
		return store.Describe{}, false, err
	}
	since := before.ModifiedAt
	now := c.deps.Clock.Now()
	if q.full || !known || len(before.Body) == 0 || now.Sub(before.ReadAt) >= c.cfg.ReadEvery {
		since = time.Time{}
	}
	row, err := c.put(ctx, q, since, now)
	if ctx.Err() == nil { // a caller who gave up, or had no time, says nothing of the org
		c.note(q.conn, now, err)
	}
	if err != nil {
		c.metrics.ask(ctx, resultFailed)
		return store.Describe{}, false, err
	}
	if row.Body == nil && !since.IsZero() { // not modified
		row.Body, row.ModifiedAt, row.ReadAt = before.Body, before.ModifiedAt, before.ReadAt
		c.metrics.ask(ctx, resultUnchanged)
		return row, false, c.deps.Describes.PutDescribe(ctx, row)
	}
	result := resultFirst
	changed := false
	if !before.AskedAt.IsZero() {
		result, changed = resultSame, !bytes.Equal(before.Body, row.Body)
		if changed {
			result = resultChanged
		}
	}
	c.metrics.ask(ctx, result)
	if err := c.makeRoom(ctx, row.DescribeKey); err != nil {
		return store.Describe{}, false, err
	}
	return row, changed, c.deps.Describes.PutDescribe(ctx, row)
}

// put turns the org's answer into a row; its body is nil when nothing changed since.
func (c *Catalogue) put(ctx context.Context, q question, since, now time.Time) (store.Describe, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	row := store.Describe{
		DescribeKey:       store.DescribeKey{Workspace: q.conn.GetWorkspace(), Connection: q.conn.GetId(), Object: q.object},
		ConnectionVersion: q.conn.GetVersion(), AskedAt: now, ReadAt: now,
	}
	var said proto.Message
	unchanged := false
	if q.object == everything {
		answer, err := c.deps.Orgs.Objects(ctx, q.conn, since)
		if err != nil {
			return row, err
		}
		said, unchanged, row.ModifiedAt = answer.Said, answer.Unchanged, answer.ModifiedAt
	} else {
		answer, err := c.deps.Orgs.Object(ctx, q.conn, q.object, since)
		if err != nil {
			return row, err
		}
		said, unchanged, row.ModifiedAt = answer.Said, answer.Unchanged, answer.ModifiedAt
	}
	if unchanged {
		return row, nil
	}
	var err error
	row.Body, err = proto.MarshalOptions{Deterministic: true}.MarshalAppend([]byte{}, said)
	switch {
	case err != nil:
		return row, fmt.Errorf("encode the description of %s: %w", q.object, err)
	case len(row.Body) > c.cfg.MaxObjectBytes: // promise 7
		return row, errTooLarge
	}
	return row, nil
}

// makeRoom keeps the number of objects per connection within its limit (promise 7).
func (c *Catalogue) makeRoom(ctx context.Context, next store.DescribeKey) error {
	times, err := c.deps.Times.DescribeTimes(ctx, next.Workspace, next.Connection)
	if err != nil {
		return err
	}
	delete(times, everything)
	if _, there := times[next.Object]; there || next.Object == everything || len(times) < c.cfg.MaxObjects {
		return nil
	}
	oldest := ""
	for object, at := range times {
		if oldest == "" || at.Before(times[oldest]) || at.Equal(times[oldest]) && object < oldest {
			oldest = object
		}
	}
	return c.deps.Describes.DropDescribe(ctx, store.DescribeKey{Workspace: next.Workspace, Connection: next.Connection, Object: oldest})
}

// decodeObject returns nil for an object that is not there.
func decodeObject(row store.Describe) (*configv1.DescribedObject, error) {
	if len(row.Body) == 0 {
		return nil, nil
	}
	out := &configv1.DescribedObject{}
	if err := proto.Unmarshal(row.Body, out); err != nil {
		return nil, fmt.Errorf("decode the description of %s, connection %s of workspace %s: %w", row.Object, row.Connection, row.Workspace, err)
	}
	return out, nil
}
