package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/topic"
)

// forget adds the outcome of a visit of somebody whom the org says to forget.
func (p *privacyBundle) forget(t *testing.T, personKey string, n int) {
	t.Helper()
	o := written("acme", n)
	o.Status, o.Reason, o.PersonKey, o.Connection = streamv1.Status_STATUS_SKIPPED, streamv1.Reason_REASON_OPTED_OUT, personKey, "main"
	o.OccurredAt = o.GetDecidedAt()
	o.RecordId, o.Object = "", ""
	o.Forget = &streamv1.ForgetRequest{Object: "Lead", RecordId: "00Q000000000001AAA"}
	p.broker.Append(topic.Outcomes, n%2, record(t, o))
}

func TestAnOrgProposesErasuresAndAnOfficerDecides(t *testing.T) {
	t.Parallel()
	t.Attr("requirement", "XC-32")
	p := setupPrivacy(t)
	her, his := p.personKey(t, "acme", mia), p.personKey(t, "acme", ren)
	p.forget(t, her, 1)
	p.forget(t, her, 2)
	p.forget(t, his, 3)
	p.awaitCount(t, "acme", 3)
	list := func() []*configv1.ErasureProposal {
		got, err := p.officer.ListErasureProposals(t.Context(), &configv1.ListErasureProposalsRequest{Workspace: "acme"})
		require.NoError(t, err)
		return got.GetProposals()
	}
	proposed := list()
	require.Len(t, proposed, 2, "one a person")
	require.Equal(t, []string{"main", "Lead", "00Q000000000001AAA"}, []string{proposed[0].GetConnection(), proposed[0].GetObject(), proposed[0].GetRecordId()})
	require.NotContains(t, proposed[0].String(), her, "whom it is about is not told, but by the record in the org")
	require.Empty(t, p.snapshot(t)["acme"].GetSuppressions(), "nobody is erased by what an org says alone")

	confirm := func(client configv1.PrivacyServiceClient, id string, sure bool) (*configv1.ConfirmErasureProposalResponse, error) {
		return client.ConfirmErasureProposal(t.Context(), &configv1.ConfirmErasureProposalRequest{Workspace: "acme", ProposalId: id, Confirm: sure})
	}
	_, err := confirm(p.officer, proposed[0].GetId(), false)
	require.Equal(t, codes.InvalidArgument, status.Code(err))
	_, err = confirm(p.viewer, proposed[0].GetId(), true)
	require.Equal(t, codes.PermissionDenied, status.Code(err))
	_, err = p.officer.ListErasureProposals(t.Context(), &configv1.ListErasureProposalsRequest{Workspace: "globex"})
	require.NoError(t, err)
	require.NoError(t, p.keep(t, "acme", &configv1.RetentionSettings{LegalHold: true}))
	_, err = confirm(p.officer, proposed[0].GetId(), true)
	require.Equal(t, codes.FailedPrecondition, status.Code(err), "a legal hold")
	require.NoError(t, p.keep(t, "acme", nil))

	started, err := confirm(p.officer, proposed[0].GetId(), true)
	require.NoError(t, err)
	require.Equal(t, "root", started.GetErasure().GetRequestedBy())
	suppressed := p.snapshot(t)["acme"].GetSuppressions()
	require.Len(t, suppressed, 1)
	require.Equal(t, her, suppressed[0].GetPersonKey())
	eventually(t, func() bool { return len(p.rows(t, "acme")) == 1 }, "her rows go")
	_, err = confirm(p.officer, proposed[0].GetId(), true)
	require.Equal(t, codes.NotFound, status.Code(err), "decided")

	require.Len(t, list(), 1)
	_, err = p.officer.DismissErasureProposal(t.Context(), &configv1.DismissErasureProposalRequest{Workspace: "acme", ProposalId: proposed[1].GetId()})
	require.NoError(t, err)
	p.forget(t, his, 4)
	p.awaitCount(t, "acme", 4)
	require.Empty(t, list(), "it does not come again at once")
	var audited []string
	for _, e := range p.audit(t, adminToken, &configv1.ListAuditEntriesRequest{Workspace: "acme", PageSize: 100}) {
		audited = append(audited, e.GetAction())
	}
	require.Contains(t, audited, "ConfirmErasureProposal")
	require.Contains(t, audited, "DismissErasureProposal")
}
