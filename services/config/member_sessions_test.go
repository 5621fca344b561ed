package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func TestAnOwnerEndsTheSessionsOfMembers(t *testing.T) {
	t.Parallel()
	for name, database := range map[string]func(*testing.T, *testBundle){
		"SQLite":   func(*testing.T, *testBundle) {},
		"Postgres": func(t *testing.T, b *testBundle) { b.cfg.Database.PostgresDSN = schemaDSN(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, issuer := withIssuerOn(t, func(b *testBundle) { database(t, b) })
			ctx := t.Context()
			for _, m := range []struct {
				workspace, id string
				role          configv1.Role
			}{
				{"acme", "ren", configv1.Role_ROLE_ADMIN},
				{"globex", "ren-at-globex", configv1.Role_ROLE_VIEWER},
				{"globex", "mio", configv1.Role_ROLE_OWNER},
			} {
				joined := member(m.id, m.role, 0)
				joined.Workspace, joined.Subject = m.workspace, m.id[:3]
				require.NoError(t, put(ctx, b.access(t, adminToken), joined))
			}
			signIn := func(subject string) string {
				resp, err := b.access(t, "").SignIn(ctx, &configv1.SignInRequest{IdToken: issuer.Token(t, subject, epoch, nil)})
				require.NoError(t, err)
				return resp.GetSession().GetToken()
			}
			aoi, ren, ren2, mio := signIn("aoi"), signIn("ren"), signIn("ren"), signIn("mio")
			list := func(member string) (found []string, ids []string) {
				resp, err := b.access(t, aoi).ListMemberSessions(ctx, &configv1.ListMemberSessionsRequest{Workspace: "acme", Member: member})
				require.NoError(t, err)
				for _, s := range resp.GetSessions() {
					require.Equal(t, s.GetMember() == "aoi", s.GetCurrent())
					require.Equal(t, epoch.Add(b.cfg.Access.Session), s.GetExpiresAt().AsTime())
					found, ids = append(found, s.GetMember()), append(ids, s.GetId())
				}
				return found, ids
			}
			all, _ := list("")
			require.Equal(t, []string{"aoi", "ren", "ren"}, all, "and nobody of another workspace")
			end := func(token, member, session string) (int32, codes.Code) {
				resp, err := b.access(t, token).EndMemberSessions(ctx, &configv1.EndMemberSessionsRequest{Workspace: "acme", Member: member, Session: session})
				return resp.GetEnded(), status.Code(err)
			}

			_, code := end(ren, "aoi", "")
			require.Equal(t, codes.PermissionDenied, code, "only owners end those of owners")
			_, code = end(mio, "ren", "")
			require.Equal(t, codes.PermissionDenied, code, "another workspace's owner")
			_, code = end(aoi, "mio", "")
			require.Equal(t, codes.NotFound, code, "no member here")
			ended, _ := end(aoi, "ren", "0000000000000000")
			require.Zero(t, ended)

			_, ids := list("ren")
			ended, code = end(aoi, "ren", ids[0])
			require.Equal(t, codes.OK, code)
			require.Equal(t, int32(1), ended)
			left := 0
			for _, token := range []string{ren, ren2} {
				if b.reads(t, token, "acme") == codes.OK {
					left++
				}
			}
			require.Equal(t, 1, left, "one of the two is ended")
			ended, _ = end(aoi, "ren", "")
			require.Equal(t, int32(1), ended)
			for _, workspace := range []string{"acme", "globex"} {
				require.Equal(t, codes.Unauthenticated, b.reads(t, ren, workspace))
				require.Equal(t, codes.Unauthenticated, b.reads(t, ren2, workspace))
			}
			require.Equal(t, codes.OK, b.reads(t, mio, "globex"))
			require.Equal(t, codes.OK, b.reads(t, aoi, "acme"))
			require.Equal(t, codes.OK, b.reads(t, signIn("ren"), "acme"), "nobody is shut out by it")

			entries := b.audit(t, aoi, &configv1.ListAuditEntriesRequest{Workspace: "acme", Action: "EndMemberSessions", Kind: "session"})
			require.Len(t, entries, 2)
			require.Equal(t, []string{"aoi", "ren"}, []string{entries[0].GetActor(), entries[0].GetTarget()})
		})
	}
}
