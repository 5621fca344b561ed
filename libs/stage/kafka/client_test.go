package kafka_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/throughline-dev/throughline/libs/broker"
	"github.com/throughline-dev/throughline/libs/secret"
	"github.com/throughline-dev/throughline/libs/stage"
	"github.com/throughline-dev/throughline/libs/stage/kafka"
	"github.com/throughline-dev/throughline/libs/stage/kafka/kafkatest"
)

// another returns a client of another make, to check ours against.
func another(t *testing.T, c *kafkatest.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(c.Brokers...))...)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func TestInterop(t *testing.T) {
	t.Parallel()

	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run("OtherClientsReadWhatWePublishWith_"+codec, func(t *testing.T) {
			t.Parallel()
			base := kafkatest.New(t)
			cfg := kafkatest.Patient(base.Brokers...)
			cfg.Compression = codec
			c := kafkatest.At(t, cfg)
			topic := c.Topic("t", 6)
			var messages []stage.Message
			for i := range 500 {
				messages = append(messages, stage.Message{
					Topic: topic, Key: fmt.Appendf(nil, "key-%d", i%40), Value: fmt.Appendf(nil, "%d", i),
					ID: strconv.Itoa(i), Type: "test.v1", Time: time.Unix(int64(i), 0),
				})
			}
			c.Send(messages...)
			reader := another(t, c, kgo.ConsumeTopics(topic))
			seen := 0
			for ctx := t.Context(); seen < 500; {
				fetches := reader.PollFetches(ctx)
				require.Empty(t, fetches.Errors())
				fetches.EachRecord(func(r *kgo.Record) {
					seen++
					require.EqualValues(t, c.PartitionFor(r.Key, 6), r.Partition)
					require.Equal(t, "ce_specversion", r.Headers[0].Key)
				})
			}
		})
	}

	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run("WeReadWhatOthersProduceWith_"+name, func(t *testing.T) {
			t.Parallel()
			c := kafkatest.New(t)
			topic := c.Topic("t", 3)
			writer := another(t, c, kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic(topic))
			for i := range 300 {
				r := kgo.KeySliceRecord(fmt.Appendf(nil, "key-%d", i%10), []byte(strings.Repeat("v", i)))
				writer.Produce(t.Context(), r, nil)
			}
			require.NoError(t, writer.Flush(t.Context()))
			records := c.Records(topic)
			require.Len(t, records, 300)
			for _, r := range records {
				// Both clients must send a key to the same partition, or a customer's producer would split a session.
				require.Equal(t, c.PartitionFor(r.Key, 3), r.Partition)
			}
		})
	}

	t.Run("TransactionsThatWereRolledBackStayUnseen", func(t *testing.T) {
		t.Parallel()
		c := kafkatest.New(t)
		topic := c.Topic("t", 1)
		writer := another(t, c, kgo.TransactionalID(c.Name("tx")), kgo.DefaultProduceTopic(topic))
		for i, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
			require.NoError(t, writer.BeginTransaction())
			for range 10 {
				require.NoError(t, writer.ProduceSync(t.Context(), kgo.StringRecord(strconv.Itoa(i))).FirstErr())
			}
			require.NoError(t, writer.EndTransaction(t.Context(), end))
		}
		records := c.Records(topic)
		require.Len(t, records, 10)
		for _, r := range records {
			require.Equal(t, "1", string(r.Value))
		}
		// The partition ends in a marker; a reader must get past it.
		c.Send(stage.Message{Topic: topic, Value: []byte("after")})
		require.Len(t, c.Records(topic), 11)
	})
}

func TestClient(t *testing.T) {
	t.Parallel()

	t.Run("SplitsLargePublishes", func(t *testing.T) {
		t.Parallel()
		c := kafkatest.New(t)
		topic := c.Topic("t", 2)
		messages := make([]stage.Message, 60)
		for i := range messages {
			messages[i] = stage.Message{Topic: topic, Key: []byte{byte(i % 2)}, Value: make([]byte, 200_000), ID: strconv.Itoa(i)}
		}
		c.Send(messages...)
		require.Len(t, c.Records(topic), 60)
	})

	t.Run("HalvesBatchesThatATopicFindsTooLarge", func(t *testing.T) {
		t.Parallel()
		c := kafkatest.New(t)
		topic := c.Create(kafka.TopicSpec{Name: "small", Partitions: 1, MaxMessageBytes: 2000})
		messages := make([]stage.Message, 50)
		for i := range messages {
			messages[i] = stage.Message{Topic: topic, Key: []byte("k"), Value: fmt.Appendf(nil, "%0300d", i)}
		}
		c.Send(messages...)
		for i, r := range c.Records(topic) {
			require.Equal(t, fmt.Sprintf("%0300d", i), string(r.Value), "the order is kept")
		}
		var large *stage.TooLargeError
		err := c.Publish(t.Context(), stage.Message{Topic: topic, ID: "big", Value: make([]byte, 5000)})
		require.ErrorAs(t, err, &large)
		require.Equal(t, "big", large.ID)
		require.Equal(t, topic, large.Topic)
	})

	t.Run("ScansFromATime", func(t *testing.T) {
		t.Parallel()
		c := kafkatest.New(t)
		topic := c.Topic("t", 3)
		send := func(from, to int) {
			for i := from; i < to; i++ {
				c.Send(stage.Message{Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)})
			}
		}
		send(0, 20)
		last := c.Records(topic)
		var newest time.Time
		for _, r := range last {
			if r.Time.After(newest) {
				newest = r.Time
			}
		}
		require.Eventually(t, func() bool { return time.Now().After(newest.Add(5 * time.Millisecond)) }, time.Minute, time.Millisecond)
		from := newest.Add(time.Millisecond)
		send(20, 30)
		var seen, stopped atomic.Int64
		require.NoError(t, c.Scan(t.Context(), kafka.ScanRequest{Topic: topic, From: from, Visit: func(r stage.Record) bool {
			require.False(t, r.Time.Before(from))
			seen.Add(1)
			return true
		}}))
		require.EqualValues(t, 10, seen.Load())
		require.NoError(t, c.Scan(t.Context(), kafka.ScanRequest{Topic: topic, Visit: func(stage.Record) bool {
			return stopped.Add(1) < 5
		}}))
		require.EqualValues(t, 5, stopped.Load())
		seen.Store(0)
		require.NoError(t, c.Scan(t.Context(), kafka.ScanRequest{Topic: topic, Until: newest, Visit: func(stage.Record) bool {
			seen.Add(1)
			return true
		}}))
		require.EqualValues(t, 20, seen.Load())
	})

	t.Run("ScansRanges", func(t *testing.T) {
		t.Parallel()
		c := kafkatest.New(t)
		topic := c.Topic("t", 3)
		for i := range 30 {
			c.Send(stage.Message{Topic: topic, Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)})
		}
		perPartition := map[int]int64{}
		for _, r := range c.Records(topic) {
			perPartition[r.Partition] = max(perPartition[r.Partition], r.Offset+1)
		}
		wanted := map[int]stage.OffsetRange{0: {Start: 1, End: 3}, 2: {Start: 2, End: 1000}}
		var told map[int]stage.OffsetRange
		seen := map[int][]int64{}
		require.NoError(t, c.Scan(t.Context(), kafka.ScanRequest{
			Topic: topic, Ranges: wanted,
			Began: func(r map[int]stage.OffsetRange) { told = r },
			Visit: func(r stage.Record) bool {
				seen[r.Partition] = append(seen[r.Partition], r.Offset)
				return true
			},
		}))
		require.Equal(t, map[int]stage.OffsetRange{0: {Start: 1, End: 3}, 2: {Start: 2, End: perPartition[2]}}, told, "as far as there is anything")
		require.Equal(t, []int64{1, 2}, seen[0])
		require.Len(t, seen[2], int(perPartition[2])-2)
		require.NotContains(t, seen, 1)
	})

	t.Run("EnsuresTopicsOnce", func(t *testing.T) {
		t.Parallel()
		c := kafkatest.New(t)
		spec := kafka.TopicSpec{Name: c.Name("t"), Partitions: 3, ReplicationFactor: 1, Retention: time.Hour}
		require.NoError(t, c.EnsureTopics(t.Context(), spec))
		require.NoError(t, c.EnsureTopics(t.Context(), spec))
		spec.Partitions = 4
		var mismatch *kafka.PartitionCountError
		require.ErrorAs(t, c.EnsureTopics(t.Context(), spec), &mismatch)
		require.NoError(t, c.DeleteTopics(t.Context(), spec.Name, c.Name("never")))
	})

	t.Run("RefusesATopicThatKeepsTheWrongRecords", func(t *testing.T) {
		t.Parallel()
		c := kafkatest.New(t)
		spec := kafka.TopicSpec{Name: c.Name("t"), Partitions: 1, ReplicationFactor: 1, Retention: time.Hour}
		require.NoError(t, c.EnsureTopics(t.Context(), spec))
		var policy *kafka.CleanupPolicyError
		spec.Compacted = true
		require.ErrorAs(t, c.EnsureTopics(t.Context(), spec), &policy, "state would be gone after the retention")
		require.Equal(t, kafka.CleanupPolicyError{Topic: spec.Name, Want: "compact", Have: "delete"}, *policy)

		spec.Name = c.Name("state")
		require.NoError(t, c.EnsureTopics(t.Context(), spec))
		require.NoError(t, c.EnsureTopics(t.Context(), spec))
		spec.Compacted = false
		require.ErrorAs(t, c.EnsureTopics(t.Context(), spec), &policy)
	})

	t.Run("SetsTheRetentionOfATopicThatExists", func(t *testing.T) {
		t.Parallel()
		t.Attr("requirement", "XC-30")
		c := kafkatest.New(t)
		spec := kafka.TopicSpec{Name: c.Name("t"), Partitions: 1, ReplicationFactor: 1}
		theirs := kafka.TopicSpec{Name: c.Name("theirs"), Partitions: 1, ReplicationFactor: 1, Retention: 30 * time.Hour}
		require.NoError(t, c.EnsureTopics(t.Context(), spec, theirs), "as the cluster has it")
		spec.Retention, theirs.Retention, theirs.Theirs = 14*24*time.Hour, time.Hour, true
		compacted := kafka.TopicSpec{Name: c.Name("state"), Partitions: 1, ReplicationFactor: 1, Compacted: true}
		for range 2 {
			require.NoError(t, c.EnsureTopics(t.Context(), spec, theirs, compacted))
		}
		missing := c.Name("missing")
		got, err := c.Retentions(t.Context(), spec.Name, theirs.Name, compacted.Name, missing)
		require.NoError(t, err)
		require.Equal(t, kafka.Kept{Known: true, AtMost: 14 * 24 * time.Hour}, got[spec.Name], "segments included")
		require.Equal(t, kafka.Kept{Known: true, AtMost: 30 * time.Hour}, got[theirs.Name], "not ours to change")
		require.True(t, got[compacted.Name].Compacted)
		require.False(t, got[missing].Known)
		spec.Retention = -1
		require.NoError(t, c.EnsureTopics(t.Context(), spec))
		got, err = c.Retentions(t.Context(), spec.Name)
		require.NoError(t, err)
		require.Negative(t, got[spec.Name].AtMost)
	})

	t.Run("TellsLag", func(t *testing.T) {
		t.Parallel()
		c := kafkatest.New(t)
		topic := c.Topic("t", 2)
		for i := range 10 {
			c.Send(stage.Message{Topic: topic, Key: fmt.Append(nil, i), Value: []byte("v")})
		}
		lags, err := c.Lag(t.Context(), c.Name("group"), topic)
		require.NoError(t, err)
		require.Len(t, lags, 2)
		require.EqualValues(t, -1, lags[0].Committed)
		require.EqualValues(t, 10, lags[0].Records()+lags[1].Records())
	})

	t.Run("GivesUpPublishingWhenNobodyAnswers", func(t *testing.T) {
		t.Parallel()
		cfg := kafka.DefaultConfig("127.0.0.1:1")
		cfg.ProduceTimeout = 300 * time.Millisecond
		c, err := kafka.New(cfg, kafka.Deps{})
		require.NoError(t, err)
		defer c.Close()
		require.Error(t, c.Publish(t.Context(), stage.Message{Topic: "t", Value: []byte("x")}))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		require.Error(t, c.EnsureTopics(ctx, kafka.TopicSpec{Name: "t", Partitions: 1}))
		c.Close()
	})
}

func TestAChangedPasswordNeedsNoRestart(t *testing.T) {
	t.Attr("requirement", "XC-21")
	t.Parallel()
	b, err := broker.Start(broker.Config{Users: []broker.User{{Mechanism: "SCRAM-SHA-512", Name: "ingest", Password: secret.New("new-password")}}})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("old-password\n"), 0o600))
	cfg := kafka.DefaultConfig(b.Addr()...)
	cfg.SASL = kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: "ingest", PasswordFile: file}
	cfg.RequestTimeout = 2 * time.Second
	c, err := kafka.New(cfg, kafka.Deps{})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	require.Error(t, c.EnsureTopics(ctx, kafka.TopicSpec{Name: "t", Partitions: 1, ReplicationFactor: 1}))

	require.NoError(t, os.WriteFile(file, []byte("new-password\n"), 0o600))
	require.Eventually(t, func() bool {
		return c.EnsureTopics(t.Context(), kafka.TopicSpec{Name: "t", Partitions: 1, ReplicationFactor: 1}) == nil
	}, time.Minute, 10*time.Millisecond)
}

func TestConfigNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for key, spoil := range map[string]func(*kafka.Config){
		"brokers":         func(c *kafka.Config) { c.Brokers = nil },
		"compression":     func(c *kafka.Config) { c.Compression = "rar" },
		"max_batch_bytes": func(c *kafka.Config) { c.MaxBatchBytes = 1 },
		"tls.key_file":    func(c *kafka.Config) { c.TLS = kafka.TLS{Enabled: true, CertFile: "c"} },
		"tls.enabled":     func(c *kafka.Config) { c.TLS.CAFile = "ca" },
		"tls.ca_file":     func(c *kafka.Config) { c.TLS = kafka.TLS{Enabled: true, CAFile: "/does/not/exist"} },
		"plaintext":       func(c *kafka.Config) { c.Brokers = append(c.Brokers, "kafka.example:9092") },
		"sasl.mechanism":  func(c *kafka.Config) { c.SASL.Mechanism = "GSSAPI" },
		"username":        func(c *kafka.Config) { c.SASL.Mechanism = "SCRAM-SHA-512" },
		"in clear": func(c *kafka.Config) {
			c.SASL = kafka.SASL{Mechanism: "PLAIN", Username: "u", Password: secret.New("p")}
		},
		"password_file": func(c *kafka.Config) {
			c.SASL = kafka.SASL{Mechanism: "SCRAM-SHA-512", Username: "u", PasswordFile: "/does/not/exist"}
		},
	} {
		cfg := kafka.DefaultConfig("127.0.0.1:9092")
		require.NoError(t, cfg.Validate())
		spoil(&cfg)
		_, err := kafka.New(cfg, kafka.Deps{})
		require.ErrorContains(t, err, key)
	}
}

func TestRecordsTravelInTheClearOnlyWhereThatIsAllowed(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-29")
	for name, tc := range map[string]struct {
		cfg kafka.Config
		ok  bool
	}{
		"this machine":    {kafka.Config{Brokers: []string{"localhost:9092", "127.0.0.1:1", "[::1]:2"}}, true},
		"another machine": {kafka.Config{Brokers: []string{"127.0.0.1:1", "10.0.0.7:9092"}}, false},
		"by name":         {kafka.Config{Brokers: []string{"kafka:9092"}}, false},
		"no port":         {kafka.Config{Brokers: []string{"kafka"}}, false},
		"with TLS":        {kafka.Config{Brokers: []string{"kafka:9092"}, TLS: kafka.TLS{Enabled: true}}, true},
		"allowed":         {kafka.Config{Brokers: []string{"kafka:9092"}, Plaintext: true}, true},
	} {
		err := tc.cfg.Validate()
		require.Equal(t, tc.ok, err == nil, "%s: %v", name, err)
	}
}

func TestPasswordsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	cfg := kafka.DefaultConfig("127.0.0.1:9092")
	cfg.SASL.Password = secret.New("hunter2")
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, cfg), "hunter2")
	}
}
