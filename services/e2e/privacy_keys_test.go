package e2e_test

import (
	"encoding/json"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/throughline-dev/throughline/libs/seal"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/e2e/internal/rig"
)

// rotateKeys rotates the installation's key and a workspace's while events are on their way, and asks for what is refused. It
// returns the key material, which must be nowhere but in its file.
func rotateKeys(t *testing.T, r *rig.Rig, out *pages) []string {
	t.Helper()
	file := seal.File{Path: r.Path("installation.key")}
	id, err := file.AddKey(time.Now())
	require.NoError(t, err)
	require.NoError(t, file.Promote(id, time.Now()))
	keys := r.Keys(r.AdminToken)
	answer := func(m proto.Message, err error) {
		t.Helper()
		require.NoError(t, err)
		encoded, err := proto.Marshal(m)
		require.NoError(t, err)
		out.add("answers", encoded)
	}
	rewrapped, err := keys.RewrapSecrets(t.Context(), &configv1.RewrapSecretsRequest{})
	answer(rewrapped, err)
	require.Equal(t, id, rewrapped.GetUse().GetPrimaryKeyId())
	require.Zero(t, rewrapped.GetUse().GetUnreadableCount())
	use, err := keys.GetKeyUse(t.Context(), &configv1.GetKeyUseRequest{})
	answer(use, err)
	added, err := keys.AddWorkspaceKey(t.Context(), &configv1.AddWorkspaceKeyRequest{Workspace: "acme"})
	answer(added, err)
	_, err = keys.PromoteWorkspaceKey(t.Context(), &configv1.PromoteWorkspaceKeyRequest{Workspace: "acme", KeyId: added.GetKey().GetId()})
	require.Error(t, err, "services may not have it yet")
	out.add("errors", []byte(err.Error()))
	_, err = r.Keys(r.AdminToken+"x").GetKeyUse(t.Context(), &configv1.GetKeyUseRequest{})
	require.Error(t, err)
	out.add("errors", []byte(err.Error()))

	data, err := os.ReadFile(file.Path)
	require.NoError(t, err)
	var content struct {
		Keyset struct {
			Key []struct {
				KeyData struct{ Value string } `json:"keyData"`
			} `json:"key"`
		} `json:"keyset"`
	}
	require.NoError(t, json.Unmarshal(data, &content))
	var material []string
	for _, key := range content.Keyset.Key {
		material = append(material, key.KeyData.Value)
	}
	require.Len(t, material, 2)
	return material
}

// refuseSecrets enters secrets that are refused together with what is wrong.
func refuseSecrets(t *testing.T, r *rig.Rig, planted string, out *pages) {
	t.Helper()
	for _, c := range []*configv1.Connection{
		{Workspace: "acme", Id: "bad", LoginUrl: "https://evil.example", Grant: &configv1.Connection_ClientCredentials{
			ClientCredentials: &configv1.ClientCredentials{ClientId: "c", ClientSecret: planted},
		}},
		{Workspace: "acme", Id: "bad", LoginUrl: "https://login.salesforce.com", ApiVersion: "1", Grant: &configv1.Connection_JwtBearer{
			JwtBearer: &configv1.JwtBearer{ClientId: "c", Subject: "s", PrivateKey: planted + "\x00"},
		}},
		{Workspace: "nobody", Id: "bad", LoginUrl: "https://login.salesforce.com", Grant: &configv1.Connection_RefreshToken{
			RefreshToken: &configv1.RefreshToken{ClientId: "c", RefreshToken: planted},
		}},
	} {
		_, err := r.Config.PutConnection(t.Context(), &configv1.PutConnectionRequest{Connection: c})
		require.Error(t, err)
		out.add("errors", []byte(err.Error()))
	}
}
