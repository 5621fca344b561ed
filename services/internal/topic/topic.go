// Package topic names the topics of the pipeline and builds the keys that decide who owns what. Kafka's partition
// assignment is the only lock the pipeline has; these keys are what it locks.
package topic

// The topics. Names carry the version of their payload; the producers and consumers are listed in docs/architecture.md.
const (
	Activities  = "tl.activities.v1"
	Visits      = "tl.visits.v1"
	Engagements = "tl.engagements.v1"
	// Unresolved holds engagements whose org could not be asked; identity tries them again later.
	Unresolved = "tl.engagements.unresolved.v1"
	Resolved   = "tl.resolved.v1"
	Writes     = "tl.writes.v1"
	// Parked holds writes whose lane was full or paused; the writer brings them back in order.
	Parked      = "tl.writes.parked.v1"
	Outcomes    = "tl.outcomes.v1"
	DeadLetters = "tl.deadletters.v1"
	// Changes tells what changed in the orgs of what identity remembers.
	Changes = "tl.changes.v1"
	// Rows holds the rows of reports as sources deliver them; sync pushes them.
	Rows = "tl.rows.v1"

	// Compacted state, private to one service each.
	VisitState  = "tl.visits.state.v1"
	TotalsState = "tl.engagements.state.v1"
	Ledger      = "tl.writes.ledger.v1"
	// ChangesState holds where subscriptions to change events go on.
	ChangesState = "tl.changes.state.v1"
	// RowsState holds deliveries of reports that have begun and not ended.
	RowsState = "tl.rows.state.v1"
)

// CloudEvents types, one per topic.
const (
	TypeActivity   = "throughline.activity.v1"
	TypeVisit      = "throughline.visit.v1"
	TypeEngagement = "throughline.engagement.v1"
	TypeResolved   = "throughline.resolved.v1"
	TypeWrite      = "throughline.write.v1"
	TypeOutcome    = "throughline.outcome.v1"
	TypeDeadLetter = "throughline.deadletter.v1"
	TypeChange     = "throughline.change.v1"
	TypeRows       = "throughline.rows.v1"
)

// SessionKey keys activities: one viewing session keeps its order and lives in one partition.
func SessionKey(workspace, session string) []byte { return join(workspace, session) }

// PersonKey keys visits, engagements and resolved records by the hashed person, never by an address (promise 8).
func PersonKey(workspace, personKey string) []byte { return join(workspace, personKey) }

// ConnectionKey keys writes, parked writes and the ledger: one org's lane lives in exactly one writer.
func ConnectionKey(workspace, connection string) []byte { return join(workspace, connection) }

// OutcomeKey keys outcomes by what they are about: a write key, or an event or visit id.
func OutcomeKey(workspace, about string) []byte { return join(workspace, about) }

// DeliveryKey keys the rows of a report: a delivery keeps its order and lives in one partition.
func DeliveryKey(workspace, report, delivery string) []byte {
	return join(workspace, report+"/"+delivery)
}

func join(workspace, rest string) []byte {
	key := make([]byte, 0, len(workspace)+1+len(rest))
	key = append(key, workspace...)
	key = append(key, '/')
	return append(key, rest...)
}
