package salesforce

import (
	"encoding/csv"
	"math"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEncodeBulk(t *testing.T) {
	t.Parallel()
	upsert := BulkRequest{Operation: Upsert, Object: "Engagement__c", ExternalIDField: "External_Id__c"}
	data, err := EncodeBulk(upsert, []CollectionRecord{
		{ExternalID: "a", Fields: Fields{{"Title__c", "one, \"two\"\r\nthree"}, {"Views__c", 2.5}}},
		{ExternalID: "b", Fields: Fields{{"Title__c", nil}, {"Done__c", true}}},
		{ExternalID: "c", Fields: Fields{{"Title__c", ""}}},
	})
	require.NoError(t, err)
	require.Equal(t, "External_Id__c,Done__c,Title__c,Views__c\n"+
		"a,,\"one, \"\"two\"\"\nthree\",2.5\n"+
		"b,true,#N/A,\n"+ // cleared, and Views__c left alone
		"c,,#N/A,\n", string(data))

	for name, records := range map[string][]CollectionRecord{
		"the same key twice": {{ExternalID: "a"}, {ExternalID: "a"}},
		"no key":             {{}},
		"a text like null":   {{ExternalID: "a", Fields: Fields{{"Title__c", "#N/A"}}}},
		"a strange value":    {{ExternalID: "a", Fields: Fields{{"Title__c", 1}}}},
		"no number":          {{ExternalID: "a", Fields: Fields{{"Views__c", math.NaN()}}}},
	} {
		_, err := EncodeBulk(upsert, records)
		require.Equal(t, ClassData, ClassOf(err), name)
	}
	for _, misfit := range []any{"#N/A", math.Inf(1), 1, strings.Repeat("あ", maxBulkField+1)} {
		record := CollectionRecord{ExternalID: "a", Fields: Fields{{"Title__c", misfit}}}
		require.False(t, record.FitsBulk())
	}
	for _, fit := range []any{nil, "", "N/A", true, 2.5, strings.Repeat("あ", maxBulkField)} {
		record := CollectionRecord{ExternalID: "a", Fields: Fields{{"Title__c", fit}}}
		require.True(t, record.FitsBulk())
	}
}

func TestDecodeBulk(t *testing.T) {
	t.Parallel()
	rows, err := decodeBulk([]byte("\"sf__Id\",\"sf__Error\",\"Key__c\"\n"+
		"\"\",\"UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 2 records: 001a,001b:--\",\"k1\"\n"+
		"\"003\",\"REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName,Company--\",\"k2\"\n"), "Key__c")
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, "k1", rows[0].Key)
	require.Equal(t, ClassLock, rows[0].Err.Class)
	require.Empty(t, rows[0].Err.Fields)
	require.Equal(t, ClassData, rows[1].Err.Class)
	require.Equal(t, []string{"LastName", "Company"}, rows[1].Err.Fields)
	require.Contains(t, rows[1].Err.Detail, "Required fields are missing: [LastName]")

	rows, err = decodeBulk([]byte("sf__Id,sf__Created,Key__c\n00QSM000000pQrS2AU,true,k\n"), "Key__c")
	require.NoError(t, err)
	require.Equal(t, []BulkRow{{Key: "k", RecordResult: RecordResult{ID: "00QSM000000pQrS2AU", Created: true}}}, rows)

	rows, err = decodeBulk(nil, "Key__c")
	require.NoError(t, err)
	require.Empty(t, rows)
	_, err = decodeBulk([]byte("sf__Id,Other__c\n"), "Key__c")
	require.ErrorIs(t, err, errNoKeyColumn)
}

func TestBulkJobErrors(t *testing.T) {
	t.Parallel()
	for message, want := range map[string]Class{
		"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is LF": ClassData,
		"TooManyLockFailure : too many": ClassLock, "ExceededQuota : no more batches": ClassQuota, "Timeout : slow": ClassTransient,
		"InvalidUser : gone": ClassAuth, "FeatureNotEnabled : no": ClassConfig, "Surprise : what": ClassUnknown, "": ClassUnknown,
	} {
		e := BulkJob{State: BulkFailed, Message: message}.Err()
		require.NotNil(t, e)
		require.Equal(t, want, e.Class, message)
	}
	require.Nil(t, BulkJob{State: BulkJobComplete}.Err())
	require.Equal(t, ClassTransient, BulkJob{State: BulkAborted}.Err().Class)
	require.True(t, BulkFailed.Ended())
	require.False(t, BulkInProgress.Ended())
}

func FuzzDecodeBulk(f *testing.F) {
	f.Add("sf__Id,sf__Error,Key__c\n,A:b:c--,k\n")
	f.Fuzz(func(_ *testing.T, file string) { _, _ = decodeBulk([]byte(file), "Key__c") })
}

func FuzzReadBulkPage(f *testing.F) {
	f.Add("text/csv", "2", "null", "\"Id\",\"Name\"\n\"1\",\"a, \"\"b\"\"\nc\"\n\"2\",\"\"\n")
	f.Add("text/html", "0", "MTAw", "<html>")
	f.Fuzz(func(t *testing.T, kind, records, locator, body string) {
		page, ok := readBulkPage(&answer{status: http.StatusOK, body: []byte(body), header: http.Header{
			"Content-Type": {kind}, "Sforce-Numberofrecords": {records}, "Sforce-Locator": {locator},
		}})
		if !ok {
			return
		}
		if n, err := strconv.Atoi(records); err != nil || n != len(page.rows) {
			t.Fatalf("%d rows where %q were promised", len(page.rows), records)
		}
		for _, cells := range page.rows {
			row := BulkQueryRow{columns: page.columns, cells: cells}
			for name := range page.columns {
				_ = row.String(name)
			}
		}
	})
}

func FuzzEncodeBulk(f *testing.F) {
	f.Add("a", "line\r\nbreak")
	f.Fuzz(func(t *testing.T, key, text string) {
		req := BulkRequest{Operation: Update, Object: "Lead"}
		data, err := EncodeBulk(req, []CollectionRecord{{ID: key, Fields: Fields{{"Title", text}}}})
		if err != nil {
			return
		}
		rows, err := csv.NewReader(strings.NewReader(string(data))).ReadAll()
		if err != nil || len(rows) != 2 || len(rows[1]) != 2 {
			t.Fatalf("%q is not one row of two cells: %v", data, err)
		}
	})
}
