package changes

import (
	"slices"
	"strings"

	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
)

// batch collects changes that are told together: those of one kind become one message.
type batch struct {
	kinds map[kind]*streamv1.Change
	order []kind
	// records counts those in it.
	records int
	// everything says that more may have changed than is in it.
	everything bool
	// org is the id of the org whose events are read.
	org string
}

// kind is what changes have in common that are told in one message.
type kind struct {
	change            streamv1.ChangeType
	keysUnknown, ours bool
}

func (b *batch) add(c *streamv1.Change) {
	if c.GetChangeType() == streamv1.ChangeType_CHANGE_TYPE_EVERYTHING {
		b.everything = true
		return
	}
	k := kind{c.GetChangeType(), c.GetKeysUnknown(), c.GetOwn()}
	b.records += max(1, len(c.GetRecordIds()))
	have, ok := b.kinds[k]
	if !ok {
		if b.kinds == nil {
			b.kinds = map[kind]*streamv1.Change{}
		}
		b.kinds[k], b.order = c, append(b.order, k)
		return
	}
	have.RecordIds, have.PersonKeys = append(have.RecordIds, c.GetRecordIds()...), append(have.PersonKeys, c.GetPersonKeys()...)
	have.CommittedAt = c.GetCommittedAt()
}

// changes returns what is to be told, in messages of at most limit records.
func (b *batch) changes(limit int) []*streamv1.Change {
	var all []*streamv1.Change
	if b.everything {
		all = append(all, &streamv1.Change{ChangeType: streamv1.ChangeType_CHANGE_TYPE_EVERYTHING})
	}
	for _, k := range b.order {
		c := b.kinds[k]
		c.RecordIds, c.PersonKeys = distinct(c.GetRecordIds()), distinct(c.GetPersonKeys())
		for from := 0; ; from += limit {
			part := &streamv1.Change{
				Object: c.GetObject(), ChangeType: c.GetChangeType(), KeysUnknown: c.GetKeysUnknown(), Own: c.GetOwn(),
				CommittedAt: c.GetCommittedAt(), RecordIds: slice(c.GetRecordIds(), from, limit), PersonKeys: slice(c.GetPersonKeys(), from, limit),
			}
			if from > 0 && len(part.GetRecordIds()) == 0 && len(part.GetPersonKeys()) == 0 {
				break
			}
			all = append(all, part)
		}
	}
	return all
}

func (b *batch) reset() { *b = batch{org: b.org} }

func distinct(texts []string) []string {
	slices.SortFunc(texts, strings.Compare)
	return slices.Compact(texts)
}

func slice(texts []string, from, limit int) []string {
	from = min(from, len(texts))
	return texts[from:min(from+limit, len(texts))]
}
