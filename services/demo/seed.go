package demo

import (
	"context"
	"fmt"
	"path/filepath"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/generator"
)

// loadTokens reads the folder's credentials, or makes them.
func loadTokens(dir string) (tokens, error) {
	var t tokens
	files := map[string]*secret.String{
		adminToken: &t.admin, orgSecret: &t.org, serviceToken: new(secret.String), viewerToken: new(secret.String),
	}
	for name, target := range files {
		var err error
		if *target, err = app.LoadOrCreateToken(filepath.Join(dir, name)); err != nil {
			return tokens{}, err
		}
	}
	return t, nil
}

// seed saves the settings of the demo's customers and checks their connections. What an earlier run saved stays.
func (e *environment) seed(ctx context.Context) error {
	s, err := generator.NewSettings(e.traffic.World(), e.access)
	if err != nil {
		return err
	}
	save := func(what, id string, err error) error {
		// The version sent is 0: "create". A run before this one has created it already.
		if code := status.Code(err); code == codes.Aborted || code == codes.AlreadyExists {
			return nil
		}
		if err != nil {
			return fmt.Errorf("save %s %s: %w", what, id, err)
		}
		return nil
	}
	for _, w := range s.Workspaces {
		_, err := e.config.PutWorkspace(ctx, &configv1.PutWorkspaceRequest{Workspace: w})
		if err := save("workspace", w.GetId(), err); err != nil {
			return err
		}
	}
	for _, c := range s.Connections {
		_, err := e.config.PutConnection(ctx, &configv1.PutConnectionRequest{Connection: c})
		if err := save("connection", c.GetId(), err); err != nil {
			return err
		}
		req := &configv1.CheckConnectionRequest{Workspace: c.GetWorkspace(), Connection: c.GetId()}
		if _, err := e.config.CheckConnection(ctx, req); err != nil {
			return fmt.Errorf("check connection %s of workspace %s: %w", c.GetId(), c.GetWorkspace(), err)
		}
	}
	for _, i := range s.Integrations {
		_, err := e.config.PutIntegration(ctx, &configv1.PutIntegrationRequest{Integration: i})
		if err := save("integration", i.GetId(), err); err != nil {
			return err
		}
	}
	for _, c := range s.ContentSettings {
		_, err := e.config.PutContentSetting(ctx, &configv1.PutContentSettingRequest{Setting: c})
		if err := save("content setting", c.GetContentId(), err); err != nil {
			return err
		}
	}
	return nil
}
