// Package parking keeps writes aside whose org cannot take them now, and brings them back in order, at a limited rate,
// when it can. A parked write is the original record on a topic of its own, with headers that tell since when it waits,
// why, and how often it came back; it returns to the writes topic, where the ledger decides what is still to be done.
//
// One org's parked writes do not hold up another's in the same partition: what exceeds an org's share of the memory is
// moved to the end of the topic.
package parking
