package ids

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
)

// Length is the number of characters of every id.
const Length = 24

const hashedBytes = Length / 4 * 3

// The first byte of every hashed input, so that ids of different kinds never meet. Never renumber: ids are stored in
// Salesforce records and in compacted topics.
const (
	kindVisit byte = iota + 1
	kindEngagement
	kindWrite
	kindOutcome
)

// VisitID names one sitting of one viewing session with one content. It does not depend on who the viewer is, so a
// visit keeps its id when the viewer becomes known.
func VisitID(workspace, session, contentID string) string {
	return derive(kindVisit, workspace, session, contentID)
}

// EngagementID names the running totals of one person with one content.
func EngagementID(workspace, personKey, contentID string) string {
	return derive(kindEngagement, workspace, personKey, contentID)
}

// Person returns the person key of a visit, or what stands in for it while nobody knows the viewer: every such visit is
// somebody of its own (IMM-36). The stand-in is longer than any person key, so it never is one.
func Person(personKey, visitID string) string {
	if personKey != "" {
		return personKey
	}
	return "anonymous-" + visitID
}

// WriteKey names one intended change: business is the engagement id, the visit id, or whatever else the record stands
// for. It does not depend on attempts or revisions, so the same change has the same key however often it is tried.
func WriteKey(workspace, integration, action, business string) string {
	return derive(kindWrite, workspace, integration, action, business)
}

// OutcomeOf says what an outcome is about; OutcomeID hashes all of it.
type OutcomeOf struct {
	// Stage decided: ingest, visits, identity, mapping, writer.
	Stage string
	// Workspace is the tenant.
	Workspace string
	// About is the write key, visit id or event id.
	About string
	// Connection and Integration tell apart the outcomes that one visit revision has in several orgs and rules; may be
	// empty.
	Connection, Integration string
	// Revision is that of the write, engagement or visit; 0 for a single event.
	Revision int64
}

// OutcomeID names one outcome, so that a repeat of it overwrites itself.
func OutcomeID(of OutcomeOf) string {
	var revision [8]byte
	binary.BigEndian.PutUint64(revision[:], uint64(of.Revision))
	return derive(kindOutcome, of.Stage, of.Workspace, of.About, of.Connection, of.Integration, string(revision[:]))
}

func derive(kind byte, parts ...string) string {
	var stack [512]byte
	buf := append(stack[:0], kind)
	for _, p := range parts {
		buf = binary.AppendUvarint(buf, uint64(len(p)))
		buf = append(buf, p...)
	}
	sum := sha256.Sum256(buf)
	var text [Length]byte
	base64.RawURLEncoding.Encode(text[:], sum[:hashedBytes])
	return string(text[:])
}
