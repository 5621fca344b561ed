package faults

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/throughline-dev/throughline/libs/salesforce"
	"github.com/throughline-dev/throughline/libs/salesforce/pubsub"
)

// everything is the topic of all objects' changes.
const everything = "/data/ChangeEvents"

var errLast = errors.New("that was the last change")

// reader notes the changes that an org tells of, in the order in which they took effect.
type reader struct {
	history    *history
	last       string // the title that somebody gave a lead when all was over
	connection string
	names      map[string]record // by id: what the records are called
}

// Change implements pubsub.Handler.
func (r *reader) Change(_ context.Context, e *pubsub.ChangeEvent) error {
	if e.Set["Title"] == r.last {
		return errLast
	}
	for _, id := range e.Header.RecordIDs {
		change := record{"Id": id}
		for _, name := range []string{"External_Id__c", "LastName"} {
			if v, ok := e.Set[name]; ok {
				r.names[id] = record{name: v}
			}
		}
		for name, v := range r.names[id] {
			change[name] = v
		}
		for _, name := range []string{"Title", "View_Count__c"} {
			if v, ok := e.Set[name]; ok {
				change[name] = v
			}
		}
		key := r.connection + "/" + e.Header.EntityName
		r.history.read[key] = append(r.history.read[key], change)
	}
	return nil
}

// Alive implements pubsub.Handler.
func (r *reader) Alive(context.Context, []byte) error { return nil }

// readChanges reads what the plan's orgs tell of all changes until now, at the address of their Pub/Sub API.
func (w *world) readChanges(t *testing.T, address string) {
	t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w.history.read = map[string][]record{}
	last := "read at " + time.Now().Format(time.RFC3339Nano)
	for _, o := range w.plan.orgs {
		login := &grant{url: w.url + "/orgs/" + o.key}
		client := salesforce.NewClient(unhurried(), login, salesforce.Deps{})
		require.NoError(t, client.Update(ctx, "Lead", w.id(o.key, "@winner"), salesforce.Fields{{Name: "Title", Value: last}}))
		r := &reader{history: &w.history, last: last, connection: o.key, names: map[string]record{}}
		for _, lead := range w.export(o.key, "Lead") {
			r.names[lead.text("Id")] = record{"LastName": lead["LastName"]}
		}
		org := pubsub.Org{ID: w.export(o.key, "Organization")[0].text("Id"), Tokens: login}
		changes, err := pubsub.New(conn, org, pubsub.DefaultConfig())
		require.NoError(t, err)
		require.ErrorIs(t, changes.Run(ctx, everything, pubsub.Earliest(), r), errLast)
	}
}
