package keys

import (
	"cmp"
	"errors"
	"hash/maphash"
	"slices"
)

// Verdict says what the other rows with its key mean for a row.
type Verdict uint8

// The verdicts.
const (
	// Alone is a row whose key no other one has, and the one that counts of several.
	Alone Verdict = iota
	// Equal is a row that says the same as the one that counts, or as an earlier one (WALK-26).
	Equal
	// Repeated has the key of a row that says something else; none of them is written.
	Repeated
	// Passed has the key of another row, which counts.
	Passed
	// Part adds to the row that its key becomes; Whole is the last of these.
	Part
	Whole
)

// Policy says which of several rows with one key counts.
type Policy uint8

// The policies.
const (
	// None of them does.
	None Policy = iota
	// First and Last.
	First
	Last
	// Aggregate makes one of them.
	Aggregate
)

// Builder gathers the keys of a delivery's rows, in order. It takes 32 bytes a row.
type Builder struct {
	seeds [3]maphash.Seed
	rows  []entry
	most  int64
}

// entry is one row. The hash of a key has 128 bits: of a million rows two different keys meet once in 10^26 deliveries.
type entry struct {
	key     [2]uint64
	content uint64
	row     uint32
}

// ErrTooManyRows is a delivery with more rows than were announced.
var ErrTooManyRows = errors.New("the delivery has more rows than its end marker says")

// NewBuilder returns a builder for rows rows, all of whose memory it takes at once: promise 7.
func NewBuilder(rows int64) *Builder {
	return &Builder{
		seeds: [3]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed(), maphash.MakeSeed()},
		rows:  make([]entry, 0, rows), most: rows,
	}
}

// Hash is a key under which a row can be found again without keeping it.
type Hash [2]uint64

// Hash hashes the normal form of a key.
func (b *Builder) Hash(norm string) Hash {
	return Hash{maphash.String(b.seeds[0], norm), maphash.String(b.seeds[1], norm)}
}

// Add takes the next row, numbered from 1; content is what it says in the columns that matter.
func (b *Builder) Add(row int64, norm string, content []byte) error {
	if row > b.most || int64(len(b.rows)) >= b.most {
		return ErrTooManyRows
	}
	b.rows = append(b.rows, entry{key: b.Hash(norm), content: maphash.Bytes(b.seeds[2], content), row: uint32(row)}) //nolint:gosec // most fits
	return nil
}

// Index tells a row's verdict, at one byte a row.
type Index struct {
	verdicts []Verdict
	groups   int
}

// Of returns the verdict about a row.
func (x *Index) Of(row int64) Verdict { return x.verdicts[row] }

// Groups is how many keys become one row of several.
func (x *Index) Groups() int { return x.groups }

// Build judges all rows and lets go of the hashes.
func (b *Builder) Build(policy Policy) *Index {
	x := &Index{verdicts: make([]Verdict, b.most+1)}
	slices.SortFunc(b.rows, func(a, c entry) int {
		return cmp.Or(cmp.Compare(a.key[0], c.key[0]), cmp.Compare(a.key[1], c.key[1]), cmp.Compare(a.row, c.row))
	})
	for rest := b.rows; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].key == rest[0].key {
			n++
		}
		if n > 1 {
			x.judge(rest[:n], policy)
		}
		rest = rest[n:]
	}
	b.rows = nil
	return x
}

// judge decides about the rows of one key, in order.
func (x *Index) judge(rows []entry, policy Policy) {
	differ := slices.ContainsFunc(rows, func(e entry) bool { return e.content != rows[0].content })
	if !differ {
		for _, e := range rows[1:] {
			x.verdicts[e.row] = Equal
		}
		return
	}
	counts, others := rows[0], Passed
	switch policy {
	case None:
		for _, e := range rows {
			x.verdicts[e.row] = Repeated
		}
		return
	case Aggregate:
		x.aggregate(rows)
		return
	case Last:
		counts = rows[len(rows)-1]
	case First:
	}
	for _, e := range rows {
		switch {
		case e.row == counts.row:
		case e.content == counts.content:
			x.verdicts[e.row] = Equal
		default:
			x.verdicts[e.row] = others
		}
	}
}

// aggregate makes one row of those that differ; the last of them stands for all.
func (x *Index) aggregate(rows []entry) {
	x.groups++
	seen := make(map[uint64]bool, len(rows))
	last := rows[0].row
	for _, e := range rows {
		if seen[e.content] {
			x.verdicts[e.row] = Equal
			continue
		}
		seen[e.content] = true
		x.verdicts[e.row], last = Part, e.row
	}
	x.verdicts[last] = Whole
}
