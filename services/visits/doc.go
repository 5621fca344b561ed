// Package visits is the service that turns activities into visits, and visits into the running totals of one person with
// one content. It runs two stages: collect reads tl.activities.v1 and owns the visits of the sessions in its partitions;
// accumulate reads tl.visits.v1 and owns the totals of the people in its partitions. Both keep their state in compacted
// topics, so a partition moves to another process with everything that is known of it.
package visits
