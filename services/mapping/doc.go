// Package mapping is the service that decides what a resolved engagement means for Salesforce: it reads
// tl.resolved.v1, applies the workspace's integrations, and produces writes to tl.writes.v1 and outcomes of what is not
// written to tl.outcomes.v1. It keeps no state and may run in any number of replicas.
//
// An integration that fails fails for its own record: the write is told as FAILED(MAPPING_INVALID) with integration,
// version and field, the input goes to the dead letters for a replay once the rule is corrected, and the partition goes
// on (promises 3 and 6).
package mapping
