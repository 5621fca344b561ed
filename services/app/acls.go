package app

import (
	"fmt"
	"maps"
	"slices"

	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/services/internal/flow"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// Access is what one kind of process may do with Kafka, and no more: the topics it reads and writes and the consumer groups it
// joins.
type Access struct {
	Reads  []string `json:"reads,omitempty"`
	Writes []string `json:"writes,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// Accounts are the tools that have access of their own, beside the services.
const (
	// TraceAccount is who runs `throughline trace`.
	TraceAccount = "trace"
	// ReplayAccount is who runs `throughline replay`.
	ReplayAccount = "replay"
)

// KafkaAccess is the least that each service and tool needs, by its name, with the groups and topics of the configuration. Only
// `throughline init` needs more: Create, Alter and DescribeConfigs on the topics it makes.
func (c *Config) KafkaAccess() map[string]Access {
	sources := make([]string, 0, len(c.Ingest.Sources))
	groups := make([]string, 0, len(c.Ingest.Sources))
	for _, s := range c.Ingest.Sources {
		sources, groups = append(sources, s.Topic), append(groups, c.Ingest.StageOf(s).GroupID())
	}
	ends := []string{topic.Outcomes, topic.DeadLetters}
	stages := []string{
		topic.Activities, topic.Visits, topic.Engagements, topic.Unresolved, topic.Resolved, topic.Writes, topic.Parked, topic.Outcomes,
	}
	log := slices.Concat(sources, stages, []string{topic.DeadLetters})
	state := []string{topic.VisitState, topic.TotalsState}
	return map[string]Access{
		"ingest": {Reads: sources, Writes: append([]string{topic.Activities, topic.Rows}, ends...), Groups: groups},
		"visits": {
			Reads:  append([]string{topic.Activities, topic.Visits}, state...),
			Writes: slices.Concat([]string{topic.Visits, topic.Engagements}, state, ends),
			Groups: []string{c.Visits.Activities.GroupID(), c.Visits.Visits.GroupID()},
		},
		"identity": {
			Reads:  []string{topic.Engagements, topic.Unresolved, topic.Changes},
			Writes: append([]string{topic.Resolved, topic.Unresolved}, ends...),
			Groups: []string{c.Identity.Engagements.GroupID(), c.Identity.Unresolved.GroupID()},
		},
		"mapping": {
			Reads: []string{topic.Resolved}, Writes: append([]string{topic.Writes}, ends...), Groups: []string{c.Mapping.Stage.GroupID()},
		},
		"writer": {
			Reads:  []string{topic.Writes, topic.Parked, topic.Ledger},
			Writes: append([]string{topic.Parked, topic.Ledger, topic.Changes}, ends...),
			Groups: []string{"tl-writer", "tl-writer-parked"},
		},
		"sync": {
			Reads:  []string{topic.Changes, topic.ChangesState, topic.Rows, topic.RowsState},
			Writes: []string{topic.Changes, topic.ChangesState, topic.RowsState, topic.Writes, topic.DeadLetters},
			Groups: []string{c.Sync.Changes.Stage.GroupID(), c.Sync.Reports.Deliveries.GroupID(), flow.Writes.Group},
		},
		"config": {
			// An export of what is held of a person reads all that is kept of the flow.
			Reads: log, Writes: []string{topic.DeadLetters}, Groups: []string{c.Config.RunLog.Stage.GroupID()},
		},
		"console":     {Reads: log},
		TraceAccount:  {Reads: log},
		ReplayAccount: {Reads: []string{topic.DeadLetters, topic.Resolved}, Writes: slices.Concat(sources, stages)},
	}
}

// ACLs are Kafka's entries for the accounts. principals says as whom each of them connects, e.g. writer: User:tl-writer; those
// it lacks get none. An account that does not exist is an error.
func (c *Config) ACLs(principals map[string]string) ([]kafka.ACL, error) {
	access := c.KafkaAccess()
	var out []kafka.ACL
	for _, account := range slices.Sorted(maps.Keys(principals)) {
		a, ok := access[account]
		if !ok {
			return nil, fmt.Errorf("no account %q: want one of %v", account, slices.Sorted(maps.Keys(access)))
		}
		add := func(kind, operation string, names []string) {
			for _, name := range names {
				out = append(out, kafka.ACL{Principal: principals[account], ResourceType: kind, Name: name, Operation: operation})
			}
		}
		add("Topic", "Read", a.Reads)
		add("Topic", "Write", a.Writes)
		add("Group", "Read", a.Groups)
	}
	return out, nil
}

// ProducerACL lets a producer write one of the topics that ingest reads, and nothing else.
func (c *Config) ProducerACL(principal, name string) (kafka.ACL, error) {
	for _, s := range c.Ingest.Sources {
		if s.Topic == name {
			return kafka.ACL{Principal: principal, ResourceType: "Topic", Name: name, Operation: "Write"}, nil
		}
	}
	return kafka.ACL{}, fmt.Errorf("topic %q is not among ingest.sources: a producer must not write where the pipeline's own records are", name)
}
