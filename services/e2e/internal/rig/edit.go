package rig

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/stretchr/testify/require"
)

// Edit changes an org as somebody who works in it would, with another client than ours: a method and a path below
// /services/data/v66.0/sobjects, e.g. POST and Lead. It returns the id of a new record.
func (r *Rig) Edit(org, method, path string, fields map[string]any) (id string) {
	r.T.Helper()
	body, err := json.Marshal(fields)
	require.NoError(r.T, err)
	base := r.Salesforce.BaseURL(org)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	r.call(http.MethodPost, base+"/services/oauth2/token", "application/x-www-form-urlencoded", "", url.Values{
		"grant_type": {"client_credentials"}, "client_id": {"app-" + org}, "client_secret": {r.OrgSecret},
	}.Encode(), &token)
	var saved struct {
		ID string `json:"id"`
	}
	r.call(method, base+"/services/data/v66.0/sobjects/"+path, "application/json", token.AccessToken, string(body), &saved)
	return saved.ID
}

func (r *Rig) call(method, address, kind, token, body string, into any) {
	r.T.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Within)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	require.NoError(r.T, err)
	req.Header.Set("Content-Type", kind)
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(req)
	require.NoError(r.T, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(r.T, err)
	require.Less(r.T, answer.StatusCode, 300, "%s %s: %s", method, address, text)
	if len(bytes.TrimSpace(text)) > 0 {
		require.NoError(r.T, json.Unmarshal(text, into))
	}
}
