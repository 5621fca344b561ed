package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/stage"
)

var someTime = time.UnixMilli(1_767_225_600_123)

// encoded returns the batch of messages, without the four bytes of length before it, moved to a base offset.
func encoded(codec compress.Compression, base int64, messages ...stage.Message) []byte {
	items := make([]item, len(messages))
	for i := range messages {
		items[i].message = &messages[i]
	}
	e := &encoder{source: "test", codec: codec}
	e.encode(items, 1<<20, someTime)
	b := e.set[4:]
	binary.BigEndian.PutUint64(b, uint64(base))
	return b
}

// spoil changes a batch and makes its checksum fit again.
func spoil(b []byte, change func([]byte)) []byte {
	change(b)
	binary.BigEndian.PutUint32(b[batchCRCAt:], crc32.Checksum(b[batchAttributesAt:], castagnoli))
	return b
}

func TestRecordsSurviveEncodingAndDecoding(t *testing.T) {
	t.Parallel()
	m := stage.Message{
		Key: []byte("key"), Value: []byte("value"), ID: "id-1", Type: "test.v1", Time: someTime,
		TraceParent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
		Headers:     []stage.Header{{Key: "own", Value: []byte("x")}, {Key: "null"}},
	}
	for _, codec := range []compress.Compression{compress.None, compress.Gzip, compress.Snappy, compress.Lz4, compress.Zstd} {
		d := decoder{topic: "t", partition: 3, from: 100}
		require.NoError(t, d.decode(encoded(codec, 100, m, stage.Message{Value: []byte{}})), codec)
		require.Len(t, d.records, 2)
		require.EqualValues(t, 102, d.next)
		r := d.records[0]
		require.Equal(t, "t", r.Topic)
		require.Equal(t, 3, r.Partition)
		require.EqualValues(t, 100, r.Offset)
		require.True(t, someTime.Equal(r.Time))
		require.Equal(t, m.Key, r.Key)
		require.Equal(t, m.Value, r.Value)
		for key, want := range map[string]string{
			stage.HeaderSpecVersion: "1.0", stage.HeaderID: "id-1", stage.HeaderType: "test.v1",
			stage.HeaderSource: "test", stage.HeaderTime: "2026-01-01T00:00:00.123Z",
			stage.HeaderContentType: "application/protobuf", stage.HeaderTraceParent: m.TraceParent, "own": "x",
		} {
			require.Equal(t, want, string(r.Header(key)), key)
		}
		require.Nil(t, r.Header("null"))
		require.Len(t, r.Headers, 9)
		plain := d.records[1]
		require.Nil(t, plain.Key)
		require.NotNil(t, plain.Value)
		require.Empty(t, plain.Headers)
	}
}

func TestDecoderMovesPastWhatCompactionRemoved(t *testing.T) {
	t.Parallel()
	b := encoded(compress.None, 50, stage.Message{Value: []byte("kept")})
	// Compaction keeps the batch's last offset though the records at its end are gone.
	b = spoil(b, func(b []byte) { binary.BigEndian.PutUint32(b[batchLastDeltaAt:], 9) })
	d := decoder{from: 51}
	require.NoError(t, d.decode(b))
	require.Empty(t, d.records)
	require.EqualValues(t, 60, d.next)
}

func TestDecoderSkipsTransactionsThatWereRolledBack(t *testing.T) {
	t.Parallel()
	transactional := func(base, producer int64, flags uint16) []byte {
		return spoil(encoded(compress.None, base, stage.Message{Key: []byte{0, 0, 0, 0}, Value: []byte("v")}), func(b []byte) {
			binary.BigEndian.PutUint16(b[batchAttributesAt:], flags)
			binary.BigEndian.PutUint64(b[batchProducerAt:], uint64(producer))
		})
	}
	var set []byte
	set = append(set, transactional(0, 7, attrTransactional)...)             // aborted
	set = append(set, transactional(1, 8, attrTransactional)...)             // committed
	set = append(set, transactional(2, 7, attrTransactional|attrControl)...) // abort marker
	set = append(set, transactional(3, 7, attrTransactional)...)             // committed later
	set = append(set, transactional(4, 7, attrTransactional|attrControl)...)
	d := decoder{aborted: []aborted{{producer: 7, first: 0}}}
	require.NoError(t, d.decode(set))
	var offsets []int64
	for _, r := range d.records {
		offsets = append(offsets, r.Offset)
	}
	require.Equal(t, []int64{1, 3}, offsets)
	require.EqualValues(t, 5, d.next, "the marker at the end is passed")
}

func TestDecoderRefusesWhatIsMalformed(t *testing.T) {
	t.Parallel()
	whole := func() []byte { return encoded(compress.None, 0, stage.Message{Key: []byte("k"), Value: []byte("v")}) }
	for name, b := range map[string][]byte{
		"old format":       append([]byte(nil), spoil(whole(), func(b []byte) { b[batchMagicAt] = 1 })...),
		"flipped bit":      func() []byte { b := whole(); b[len(b)-1] ^= 1; return b }(),
		"too many records": spoil(whole(), func(b []byte) { binary.BigEndian.PutUint32(b[batchCountAt:], 1<<30) }),
		"negative count":   spoil(whole(), func(b []byte) { binary.BigEndian.PutUint32(b[batchCountAt:], 1<<31) }),
		"negative length":  spoil(whole(), func(b []byte) { binary.BigEndian.PutUint32(b[batchLengthAt:], 1<<31) }),
		"reversed offsets": spoil(whole(), func(b []byte) { binary.BigEndian.PutUint32(b[batchLastDeltaAt:], 1<<31) }),
		"unknown codec":    spoil(whole(), func(b []byte) { binary.BigEndian.PutUint16(b[batchAttributesAt:], 7) }),
		"not gzip":         spoil(whole(), func(b []byte) { binary.BigEndian.PutUint16(b[batchAttributesAt:], 1) }),
	} {
		d := decoder{}
		require.ErrorIs(t, d.decode(b), errMalformed, name)
	}
	d := decoder{}
	require.NoError(t, d.decode(whole()[:len(whole())-1]), "a batch that is cut off comes again")
	require.Zero(t, d.next)
}

func TestEncoderSplitsByBytesAndNeverStalls(t *testing.T) {
	t.Parallel()
	items := make([]item, 10)
	for i := range items {
		items[i].message = &stage.Message{Value: make([]byte, 1000)}
	}
	e := &encoder{}
	require.Equal(t, 4, e.encode(items, 4500, someTime))
	require.Equal(t, 1, e.encode(items, 10, someTime), "one record always fits")
	require.Equal(t, 10, e.encode(items, 1<<20, someTime))
}

func TestStateEntriesCarryNoHeaders(t *testing.T) {
	t.Parallel()
	e := &encoder{source: "test"}
	e.encode([]item{{entry: &stage.Entry{Key: "a", Value: []byte("1")}}, {entry: &stage.Entry{Key: "b"}}}, 1<<20, someTime)
	d := decoder{}
	require.NoError(t, d.decode(e.set[4:]))
	require.Equal(t, "a", string(d.records[0].Key))
	require.Empty(t, d.records[0].Headers)
	require.Nil(t, d.records[1].Value, "a tombstone")
}

// TestPartitionForAgreesWithJava holds values computed by Kafka's Java client, Utils.toPositive(Utils.murmur2(key)) % n,
// as its own UtilsTest lists them.
func TestPartitionForAgreesWithJava(t *testing.T) {
	t.Parallel()
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
	} {
		for _, n := range []int{1, 2, 6, 12, 5000} {
			require.Equal(t, int(hash&0x7fffffff)%n, partitionFor([]byte(key), n), "%q of %d", key, n)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add(encoded(compress.None, 0, stage.Message{Key: []byte("k"), Value: []byte("v"), ID: "1", Type: "t"}), int64(0))
	f.Add(encoded(compress.Gzip, 10, stage.Message{Value: []byte("v")}, stage.Message{}), int64(11))
	f.Add([]byte("nonsense that is longer than a batch's header, which takes sixty-one bytes in all"), int64(3))
	f.Fuzz(func(t *testing.T, set []byte, from int64) {
		if len(set) > batchHeaderSize { // let it get past the checksum
			spoil(set, func([]byte) {})
		}
		d := decoder{from: max(0, from)}
		err := d.decode(set)
		if err == nil && d.next < d.from {
			t.Fatalf("went back from %d to %d", d.from, d.next)
		}
		for _, r := range d.records {
			if r.Offset < d.from {
				t.Fatalf("record %d comes before %d", r.Offset, d.from)
			}
		}
	})
}

func FuzzFetchAnswer(f *testing.F) {
	f.Add(make([]byte, 64), int16(11))
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, int16(4))
	f.Fuzz(func(_ *testing.T, body []byte, version int16) {
		a := fetchAnswer{version: version, body: body}
		_, _ = a.decode(stage.FetchRequest{Topic: "t"})
	})
}

func TestErrorTypesAreFew(t *testing.T) {
	t.Parallel()
	require.Equal(t, kafka.NotLeaderForPartition.Title(), errorType(kafka.NotLeaderForPartition))
	require.Equal(t, "message too large", errorType(&stage.TooLargeError{}))
}

func TestDecoderSkipsOverlappingTransactionsThatWereRolledBack(t *testing.T) {
	t.Parallel()
	transactional := func(base, producer int64, flags uint16) []byte {
		return spoil(encoded(compress.None, base, stage.Message{Key: []byte{0, 0, 0, 0}, Value: []byte("v")}), func(b []byte) {
			binary.BigEndian.PutUint16(b[batchAttributesAt:], flags)
			binary.BigEndian.PutUint64(b[batchProducerAt:], uint64(producer))
		})
	}
	var set []byte
	set = append(set, transactional(0, 7, attrTransactional)...)
	set = append(set, transactional(1, 8, attrTransactional)...)
	set = append(set, transactional(2, 8, attrTransactional|attrControl)...)
	set = append(set, transactional(3, 7, attrTransactional)...)
	set = append(set, transactional(4, 7, attrTransactional|attrControl)...)
	// A broker lists transactions in the order in which they ended.
	d := decoder{aborted: []aborted{{producer: 8, first: 1}, {producer: 7, first: 0}}}
	require.NoError(t, d.decode(set))
	require.Empty(t, d.records)
	require.EqualValues(t, 5, d.next)
}

func TestDecoderGivesNothingOfABatchThatIsBroken(t *testing.T) {
	t.Parallel()
	set := encoded(compress.None, 0, stage.Message{Value: []byte("whole")})
	broken := encoded(compress.None, 1, stage.Message{Value: []byte("first")}, stage.Message{Value: []byte("second")})
	set = append(set, spoil(broken, func(b []byte) { binary.BigEndian.PutUint32(b[batchCountAt:], 3) })...)
	d := decoder{}
	require.Error(t, d.decode(set))
	require.Len(t, d.records, 1, "else the same records would come with every attempt to read on")
	require.EqualValues(t, 1, d.next)
}

func BenchmarkDecode(b *testing.B) {
	var set []byte
	for base := range int64(8) {
		messages := make([]stage.Message, 250)
		for i := range messages {
			messages[i] = stage.Message{Key: []byte("key"), Value: make([]byte, 300), ID: "id", Type: "test.v1", Time: someTime}
		}
		set = append(set, encoded(compress.None, base*250, messages...)...)
	}
	b.ReportAllocs()
	for b.Loop() {
		d := decoder{}
		if err := d.decode(set); err != nil || len(d.records) != 2000 {
			b.Fatal(err)
		}
	}
}
