package salesforce_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/throughline-dev/throughline/libs/salesforce"
)

func dialTo(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

func TestSingleRecords(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "POST /services/data/v66.0/sobjects/Lead":
			reply(201, `{"id":"00QSM000000pQrS2AU","success":true,"errors":[]}`)(w, r)
		case "PATCH /services/data/v66.0/sobjects/Lead/00QSM000000pQrS2AU":
			w.WriteHeader(http.StatusNoContent)
		case "PATCH /services/data/v66.0/sobjects/Lead/Ext__c/k-1":
			reply(201, `{"id":"00QSM000000pQrS2AU","success":true,"errors":[],"created":true}`)(w, r)
		case "PATCH /services/data/v66.0/sobjects/Lead/Ext__c/k-2":
			reply(300, `["/services/data/v66.0/sobjects/Lead/1","/services/data/v66.0/sobjects/Lead/2"]`)(w, r)
		case "GET /services/data/v66.0/sobjects/Lead/00QSM000000pQrS2AU":
			assert.Equal(t, "Id,Name", r.URL.Query().Get("fields"))
			reply(200, `{"attributes":{"type":"Lead"},"Id":"00QSM000000pQrS2AU","Name":"花子"}`)(w, r)
		default:
			reply(404, `[{"errorCode":"NOT_FOUND","message":"Provided external ID field does not exist or is not accessible: 00Q9"}]`)(w, r)
		}
	})
	ctx := t.Context()
	fields := salesforce.Fields{{Name: "LastName", Value: "花子"}}
	id, err := b.client.Create(ctx, "Lead", fields)
	require.NoError(t, err)
	require.Equal(t, "00QSM000000pQrS2AU", id)
	require.NoError(t, b.client.Update(ctx, "Lead", id, fields))
	res, err := b.client.Upsert(ctx, salesforce.Key{Object: "Lead", Field: "Ext__c", Value: "k-1"}, fields)
	require.NoError(t, err)
	require.True(t, res.Created)
	_, err = b.client.Upsert(ctx, salesforce.Key{Object: "Lead", Field: "Ext__c", Value: "k-2"}, fields)
	require.Equal(t, "KEY_AMBIGUOUS", failure(t, err).Reason)
	rec, err := b.client.Get(ctx, "Lead", id, "Id", "Name")
	require.NoError(t, err)
	require.Equal(t, "花子", rec.String("Name"))
	_, err = b.client.Get(ctx, "Lead", "00Q9")
	require.Equal(t, "SF_RECORD_GONE", failure(t, err).Reason)
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	modified := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC)
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-Modified-Since") == modified.Format(http.TimeFormat) {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Last-Modified", modified.Format(http.TimeFormat))
		_, _ = io.WriteString(w, `{"name":"Task","keyPrefix":"00T","createable":true,"fields":[
			{"name":"Subject","type":"combobox","length":255,"createable":true,"nillable":false,"picklistValues":[{"value":"Call","active":true}]},
			{"name":"Throughline_Key__c","type":"string","externalId":true,"unique":true,"createable":true,"nillable":true}]}`)
	})
	d, err := b.client.Describe(t.Context(), "Task")
	require.NoError(t, err)
	f, ok := d.Field("Throughline_Key__c")
	require.True(t, ok)
	require.True(t, f.ExternalID && f.Unique)
	require.False(t, f.Required())
	subject, _ := d.Field("Subject")
	require.True(t, subject.Required())
	_, ok = d.Field("Hidden__c")
	require.False(t, ok)
	again, changed, err := b.client.DescribeIfModified(t.Context(), "Task", d.ModifiedAt)
	require.NoError(t, err)
	require.False(t, changed)
	require.Nil(t, again)
}

func TestOrganizationAndLimits(t *testing.T) {
	t.Parallel()
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/services/oauth2/userinfo":
			reply(200, `{"user_id":"005SM","organization_id":"00DSM","preferred_username":"int@acme.example"}`)(w, r)
		case "/services/data/v66.0/limits":
			reply(200, `{"DailyApiRequests":{"Max":15000,"Remaining":14998,"App":{"Max":0,"Remaining":0}},"Odd":[1]}`)(w, r)
		default:
			reply(200, `{"done":true,"records":[{"Id":"00DSM","Name":"Acme","OrganizationType":"Enterprise Edition","IsSandbox":true,"TimeZoneSidKey":"Asia/Tokyo"}]}`)(w, r)
		}
	})
	id, err := b.client.Identity(t.Context())
	require.NoError(t, err)
	require.Equal(t, "00DSM", id.OrganizationID)
	org, err := b.client.Organization(t.Context())
	require.NoError(t, err)
	require.Equal(t, salesforce.Organization{
		ID: "00DSM", Name: "Acme", Edition: "Enterprise Edition", Sandbox: true, TimeZone: "Asia/Tokyo", InstanceURL: b.server.URL,
	}, org)
	limits, err := b.client.Limits(t.Context())
	require.NoError(t, err)
	require.Equal(t, salesforce.Allocation{Max: 15000, Remaining: 14998}, limits["DailyApiRequests"])
}
