package watch

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/config/internal/auth"
	"github.com/throughline-dev/throughline/services/config/internal/eventsetup"
	"github.com/throughline-dev/throughline/services/config/internal/store"
)

// build makes the message that watchers get. Integration versions replaced before oldest are left out: no event that
// may still come needs them.
func build(raw store.Snapshot, oldest time.Time) (*configv1.Snapshot, error) {
	out := &configv1.Snapshot{Revision: raw.Revision}
	byID := map[string]*configv1.WorkspaceSnapshot{}
	for _, doc := range raw.Documents {
		ws := byID[doc.Workspace]
		if ws == nil {
			ws = &configv1.WorkspaceSnapshot{}
			byID[doc.Workspace] = ws
			out.Workspaces = append(out.Workspaces, ws)
		}
		if err := add(ws, doc); err != nil {
			return nil, err
		}
	}
	addStates(byID, raw.States)
	// A workspace whose keys were destroyed is no workspace any more for those who would work with them.
	out.Workspaces = slices.DeleteFunc(out.Workspaces, func(ws *configv1.WorkspaceSnapshot) bool {
		return ws.GetWorkspace() != nil && len(ws.GetSealedKeys()) == 0
	})
	integrations, err := inUse(raw.Integrations, oldest)
	if err != nil {
		return nil, err
	}
	exports, err := exports(raw.EventSetups, oldest)
	if err != nil {
		return nil, err
	}
	for _, i := range append(integrations, exports...) {
		if ws := byID[i.GetWorkspace()]; ws != nil {
			ws.Integrations = append(ws.Integrations, i)
		}
	}
	for _, one := range raw.Suppressions {
		if ws := byID[one.Workspace]; ws != nil {
			ws.Suppressions = append(ws.Suppressions, suppression(one))
		}
	}
	return out, nil
}

func suppression(from store.Suppression) *configv1.Suppression {
	out := &configv1.Suppression{PersonKey: from.PersonKey, Since: timestamppb.New(from.Since)}
	if !from.LiftedAt.IsZero() {
		out.LiftedAt = timestamppb.New(from.LiftedAt)
	}
	return out
}

func add(ws *configv1.WorkspaceSnapshot, doc store.Document) error {
	var into proto.Message
	switch doc.Kind {
	case store.KindWorkspace:
		ws.Workspace, ws.SealedKeys = &configv1.Workspace{}, doc.Sealed
		into = ws.Workspace
	case store.KindConnection:
		c := &configv1.Connection{}
		ws.Connections, into = append(ws.Connections, c), c
	case store.KindContent:
		c := &configv1.ContentSetting{}
		ws.ContentSettings, into = append(ws.ContentSettings, c), c
	case store.KindAPIKey:
		return addKey(ws, doc)
	default:
		return nil // integrations come with their history
	}
	if err := proto.Unmarshal(doc.Body, into); err != nil {
		return fmt.Errorf("%s %s of workspace %s: %w", doc.Kind, doc.ID, doc.Workspace, err)
	}
	if c, ok := into.(*configv1.ContentSetting); ok {
		c.Origin = nil // for the defaults only: no service needs to know
	}
	return nil
}

// addKey leaves out keys that are revoked or not for events: whoever watches need not know of them to refuse them.
func addKey(ws *configv1.WorkspaceSnapshot, doc store.Document) error {
	k := &configv1.ApiKey{}
	if err := proto.Unmarshal(doc.Body, k); err != nil {
		return fmt.Errorf("API key %s of workspace %s: %w", doc.ID, doc.Workspace, err)
	}
	if k.RevokedAt == nil && slices.Contains(auth.ScopesOf(k), configv1.ApiKeyScope_API_KEY_SCOPE_INGEST) {
		ws.ApiKeys = append(ws.ApiKeys, k)
	}
	return nil
}

// addStates tells of every connection where it stands. Who authorised it is left out: no service needs to know.
func addStates(byID map[string]*configv1.WorkspaceSnapshot, states []store.ConnectionState) {
	known := make(map[[2]string]*configv1.ConnectionStatus, len(states))
	for _, s := range states {
		known[[2]string{s.Workspace, s.Connection}] = s.Message()
	}
	for workspace, snapshot := range byID {
		for _, c := range snapshot.GetConnections() {
			c.Status, c.Consent = known[[2]string{workspace, c.GetId()}], nil
		}
	}
}

// inUse decodes integration versions, given by workspace, id and version, and keeps those in force at oldest or later. Of an
// integration that was deleted nothing is kept: it fires no more, not even for events under way (IMM-17).
func inUse(docs []store.Document, oldest time.Time) ([]*configv1.Integration, error) {
	all := make([]*configv1.Integration, len(docs))
	for n, doc := range docs {
		all[n] = &configv1.Integration{}
		if err := proto.Unmarshal(doc.Body, all[n]); err != nil {
			return nil, fmt.Errorf("integration %s of workspace %s, version %d: %w", doc.ID, doc.Workspace, doc.Version, err)
		}
	}
	return since(docs, all, oldest), nil
}

// exports are the integrations that event set-ups stand for.
func exports(docs []store.Document, oldest time.Time) ([]*configv1.Integration, error) {
	all := make([]*configv1.Integration, len(docs))
	for n, doc := range docs {
		setup := &configv1.EventSetup{}
		if err := proto.Unmarshal(doc.Body, setup); err != nil {
			return nil, fmt.Errorf("event set-up of workspace %s, version %d: %w", doc.Workspace, doc.Version, err)
		}
		all[n] = eventsetup.Export(setup)
	}
	return since(docs, all, oldest), nil
}

// since are the versions in force at oldest or later.
func since(docs []store.Document, all []*configv1.Integration, oldest time.Time) []*configv1.Integration {
	kept := all[:0:0]
	gone := map[store.Key]bool{}
	for n, i := range all {
		gone[docs[n].Key] = i.GetDeletedAt() != nil // the newest version decides
	}
	for n, i := range all {
		replaced := n+1 < len(docs) && docs[n+1].Key == docs[n].Key
		if gone[docs[n].Key] || replaced && all[n+1].GetEffectiveFrom().AsTime().Before(oldest) {
			continue
		}
		kept = append(kept, i)
	}
	return kept
}
