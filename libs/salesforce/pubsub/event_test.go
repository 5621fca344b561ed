package pubsub

import (
	"testing"

	"github.com/hamba/avro/v2"
	"github.com/stretchr/testify/require"
)

const leadSchema = `{"name":"LeadChangeEvent","type":"record","namespace":"com.sforce.eventbus","fields":[
{"name":"ChangeEventHeader","type":{"type":"record","name":"ChangeEventHeader","fields":[
{"name":"entityName","type":"string"},{"name":"recordIds","type":{"type":"array","items":"string"}},
{"name":"changeType","type":{"type":"enum","name":"ChangeType","symbols":["CREATE","UPDATE","DELETE","UNDELETE","GAP_CREATE","GAP_UPDATE","GAP_DELETE","GAP_UNDELETE","GAP_OVERFLOW"]}},
{"name":"changeOrigin","type":"string"},{"name":"transactionKey","type":"string"},{"name":"sequenceNumber","type":"int"},
{"name":"commitTimestamp","type":"long"},{"name":"commitNumber","type":"long"},{"name":"commitUser","type":"string"},
{"name":"nulledFields","type":{"type":"array","items":"string"}},{"name":"diffFields","type":{"type":"array","items":"string"}},
{"name":"changedFields","type":{"type":"array","items":"string"}}]}},
{"name":"Name","type":["null",{"type":"record","name":"PersonName","fields":[
{"name":"Salutation","type":["null","string"]},{"name":"FirstName","type":["null","string"]},{"name":"LastName","type":["null","string"]}]}]},
{"name":"Email","type":["null","string"]},{"name":"Phone","type":["null","string"]},{"name":"Score__c","type":["null","double"]}]}`

// lead encodes an event with a changed first name, e-mail address and score, and a cleared phone number.
func lead(t testing.TB, change string) []byte {
	t.Helper()
	list := func(s ...string) []string { return s }
	header := map[string]any{
		"entityName": "Lead", "recordIds": list("00Q000000000001AAA"), "changeType": change,
		"changeOrigin": "com/salesforce/api/rest/67.0;client=throughline", "transactionKey": "t", "sequenceNumber": 1,
		"commitTimestamp": int64(1700000000000), "commitNumber": int64(7), "commitUser": "005000000000001AAA",
		"nulledFields": list("0x08"), "diffFields": list(), "changedFields": list("0x1C", "1-0x02"),
	}
	name := map[string]any{"Salutation": nil, "FirstName": map[string]any{"string": "Ann"}, "LastName": nil}
	payload, err := avro.Marshal(avro.MustParse(leadSchema), map[string]any{
		"ChangeEventHeader": header, "Name": map[string]any{"com.sforce.eventbus.PersonName": name},
		"Email": map[string]any{"string": "a@example.com"}, "Phone": nil, "Score__c": map[string]any{"double": 1.5},
	})
	require.NoError(t, err)
	return payload
}

func TestDecode(t *testing.T) {
	t.Parallel()
	d, err := newDecoder(leadSchema)
	require.NoError(t, err)
	e, err := d.decode(lead(t, "UPDATE"))
	require.NoError(t, err)
	require.Equal(t, "Lead", e.Header.EntityName)
	require.Equal(t, []string{"00Q000000000001AAA"}, e.Header.RecordIDs)
	require.Equal(t, int64(7), e.Header.CommitNumber)
	require.Equal(t, map[string]any{"Name.FirstName": "Ann", "Email": "a@example.com", "Score__c": 1.5}, e.Set)
	require.Equal(t, []string{"Phone"}, e.Cleared)
	require.Empty(t, e.Diff)
}

func TestDecodeGap(t *testing.T) {
	t.Parallel()
	d, err := newDecoder(leadSchema)
	require.NoError(t, err)
	e, err := d.decode(lead(t, "GAP_OVERFLOW"))
	require.NoError(t, err)
	require.True(t, e.Header.Gap())
	require.True(t, e.Header.Overflow())
	require.Empty(t, e.Set, "a gap event says nothing about fields")
}

func TestDecodeRefusesGarbage(t *testing.T) {
	t.Parallel()
	d, err := newDecoder(leadSchema)
	require.NoError(t, err)
	_, err = d.decode([]byte{1, 2, 3})
	require.ErrorIs(t, err, ErrEvent)
	_, err = newDecoder(`{"type":"record","name":"X","fields":[]}`)
	require.ErrorIs(t, err, ErrEvent)
}

func TestExpand(t *testing.T) {
	t.Parallel()
	d, err := newDecoder(leadSchema)
	require.NoError(t, err)
	for _, bad := range []string{"", "1C", "0x", "0xZZ", "0x20", "9-0x1", "2-0x1", "x-0x1", "1-0x8"} {
		_, err := expand([]string{bad}, d.schema)
		require.ErrorIs(t, err, ErrBitmap, bad)
	}
	got, err := expand([]string{"0x00C", "1-0x6"}, d.schema)
	require.NoError(t, err)
	require.Equal(t, []string{"Email", "Phone", "Name.FirstName", "Name.LastName"}, got)
}

func FuzzExpand(f *testing.F) {
	for _, seed := range []string{"0x1C", "1-0x02", "0x", "9-0x1", "-0x1", "0xFFFFFFFFFFFFFFFFFF"} {
		f.Add(seed)
	}
	d, err := newDecoder(leadSchema)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, bitmap string) {
		paths, err := expand([]string{bitmap}, d.schema)
		if err != nil {
			require.ErrorIs(t, err, ErrBitmap)
			return
		}
		require.LessOrEqual(t, len(paths), len(d.schema.Fields()))
	})
}
