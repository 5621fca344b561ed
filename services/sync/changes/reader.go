package changes

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/throughline-dev/throughline/libs/salesforce/pubsub"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/normalize"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

// reader turns change events of one object into changes.
type reader struct {
	workspace *settings.Workspace
	object    string
	// user and client are who we are in the org, and what our requests call themselves.
	user, client string
}

// newReader reads with the settings of now. They are read anew with every attempt; in between, a change to the address fields of
// the match policy is heeded late, and what it concerns is then as old as its age allows.
func newReader(s *subscription, user string) reader {
	r := reader{object: s.object, user: user, client: s.org.o.s.deps.UserAgent}
	if view := s.org.o.s.deps.Settings.View(); view != nil {
		r.workspace, _ = view.Workspace(s.org.key.workspace)
	}
	return r
}

// kinds of changes, by their names in events.
var kinds = map[string]streamv1.ChangeType{
	"CREATE":   streamv1.ChangeType_CHANGE_TYPE_CREATE,
	"UPDATE":   streamv1.ChangeType_CHANGE_TYPE_UPDATE,
	"DELETE":   streamv1.ChangeType_CHANGE_TYPE_DELETE,
	"UNDELETE": streamv1.ChangeType_CHANGE_TYPE_UNDELETE,
}

// read tells what an event means. Promise 8: an address in it becomes a hash here, and goes nowhere else.
func (r *reader) read(event *pubsub.ChangeEvent) *streamv1.Change {
	h := &event.Header
	c := &streamv1.Change{
		Object: h.EntityName, RecordIds: slices.Clone(h.RecordIDs), Own: r.own(h) && r.idle(event), CommittedAt: timestamppb.New(h.CommittedAt()),
	}
	switch {
	case h.Overflow():
		c.ChangeType = streamv1.ChangeType_CHANGE_TYPE_EVERYTHING
	case h.Gap():
		c.ChangeType, c.KeysUnknown = streamv1.ChangeType_CHANGE_TYPE_GAP, true
	case kinds[h.ChangeType] == streamv1.ChangeType_CHANGE_TYPE_UNSPECIFIED: // A kind that Salesforce added.
		c.ChangeType, c.KeysUnknown = streamv1.ChangeType_CHANGE_TYPE_GAP, true
	default:
		c.ChangeType = kinds[h.ChangeType]
		r.keys(event, c)
	}
	return c
}

// keys adds what the records are found by from now on.
func (r *reader) keys(event *pubsub.ChangeEvent, c *streamv1.Change) {
	if r.workspace == nil {
		c.KeysUnknown = true
		return
	}
	for _, field := range r.addressFields() {
		text, ok := event.Set[field].(string)
		if !ok {
			continue
		}
		address, err := normalize.Email(text)
		if err != nil {
			continue // Nobody is looked for by what is no address.
		}
		c.PersonKeys = append(c.PersonKeys, r.workspace.Keys().PersonKey(address))
		if plain, sandbox := strings.CutSuffix(address, ".invalid"); sandbox && r.object == "User" {
			c.PersonKeys = append(c.PersonKeys, r.workspace.Keys().PersonKey(plain))
		}
	}
	if r.object == "Account" && c.GetChangeType() != streamv1.ChangeType_CHANGE_TYPE_DELETE {
		// Accounts are found by their domain, too, which belongs to no single person.
		policy := r.workspace.Proto().GetMatchPolicy()
		_, site := event.Set["Website"]
		_, domain := event.Set[policy.GetAccountDomainField()]
		c.KeysUnknown = site || domain
	}
}

// addressFields are where a record may have an address that somebody is looked for by.
func (r *reader) addressFields() []string {
	policy := r.workspace.Proto().GetMatchPolicy()
	switch r.object {
	case "Lead":
		return append([]string{"Email"}, policy.GetLeadEmailFields()...)
	case "Contact":
		return append([]string{"Email"}, policy.GetContactEmailFields()...)
	case "Account":
		return []string{"PersonEmail"}
	}
	return []string{"Email"}
}

// own reports whether we made the change ourselves. Source: Change Data Capture Developer Guide, "Change Event Header Fields".
func (r *reader) own(h *pubsub.Header) bool {
	_, client, ok := strings.Cut(h.ChangeOrigin, ";client=")
	return ok && client == r.client && r.client != "" && (r.user == "" || r.user == h.CommitUser)
}

// decisive are the fields, besides addresses, by which identity decides or that it passes on. OwnerId comes first: an integration
// may well give a Lead to somebody else.
var decisive = []string{"OwnerId", "AccountId", "IsConverted", "ConvertedContactId", "IsActive", "LanguageLocaleKey", "TimeZoneSidKey"}

// idle reports whether an update leaves everything as it was by which people are chosen, but the date of the change: most of our
// own writes do, and asking again after each of them would double the calls.
func (r *reader) idle(event *pubsub.ChangeEvent) bool {
	if event.Header.ChangeType != "UPDATE" || r.workspace == nil {
		return false
	}
	fields := slices.Concat(decisive, r.addressFields(), []string{"Website", r.workspace.Proto().GetMatchPolicy().GetAccountDomainField()})
	for _, criterion := range r.workspace.Proto().GetMatchPolicy().GetOrderBy() {
		field, _, _ := strings.Cut(strings.TrimSpace(criterion), " ")
		fields = append(fields, field)
	}
	return !slices.ContainsFunc(fields, func(field string) bool {
		_, set := event.Set[field]
		return field != "LastModifiedDate" && (set || slices.Contains(event.Cleared, field))
	})
}
