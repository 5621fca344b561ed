package changes

import (
	"context"
	"sync"

	"google.golang.org/grpc"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/pubsub"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// org is one connection's subscriptions, one for each object.
type org struct {
	o   *owner
	key key
	// connection is what the settings said when it began.
	connection *configv1.Connection
	conn       *grpc.ClientConn

	cancel context.CancelFunc
	work   sync.WaitGroup

	mu sync.Mutex
	me *salesforce.Identity
}

func startOrg(ctx context.Context, o *owner, k key, c *configv1.Connection) *org {
	ctx, cancel := context.WithCancel(ctx)
	started := &org{o: o, key: k, connection: c, cancel: cancel}
	var err error
	if started.conn, err = o.s.dial(); err != nil { // The address was checked: this is a defect.
		o.s.deps.Logger.ErrorContext(ctx, "the address of the Pub/Sub API cannot be used", "error", err)
		return started
	}
	for _, object := range o.s.cfg.Objects {
		sub := newSubscription(started, object)
		started.work.Go(func() { sub.run(ctx) })
	}
	return started
}

// end waits until every subscription has saved where it goes on.
func (g *org) end() {
	g.cancel()
	g.work.Wait()
	if g.conn != nil {
		_ = g.conn.Close()
	}
}

// identity tells which org it is and as whom we are there. A user who may not ask is nobody.
func (g *org) identity(ctx context.Context) (salesforce.Identity, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.me != nil {
		return *g.me, nil
	}
	client, err := g.o.s.deps.Orgs.Client(g.key.workspace, g.key.connection)
	if err != nil {
		return salesforce.Identity{}, err
	}
	me, err := client.Identity(ctx)
	if known := g.connection.GetOrg().GetId(); err != nil && known != "" && salesforce.ClassOf(err) != salesforce.ClassTransient && ctx.Err() == nil {
		return salesforce.Identity{OrganizationID: known}, nil // A token without the scope "id".
	}
	if err != nil {
		return salesforce.Identity{}, err
	}
	g.me = &me
	return me, nil
}

// subscriber returns what reads the org's events.
func (g *org) subscriber(me salesforce.Identity) (*pubsub.Subscriber, error) {
	tokens, err := g.o.s.deps.Orgs.Tokens(g.key.workspace, g.key.connection)
	if err != nil {
		return nil, err
	}
	return pubsub.New(g.conn, pubsub.Org{ID: me.OrganizationID, Tokens: tokens}, g.o.s.cfg.pubsub())
}
