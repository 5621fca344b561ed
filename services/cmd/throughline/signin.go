package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/secret"
	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/app"
	"github.com/throughline-dev/throughline/services/internal/settings"
)

func newSignIn() *cobra.Command {
	var src sources
	var out string
	cmd := &cobra.Command{
		Use:     "sign-in <link>",
		GroupID: "look",
		Short:   "Exchange the one-time link that serve printed for an administrator's session",
		Long: `The link works once and not for long. The session's token goes to a file that only you can read; name the file as
admin_token_file to use it.`,
		Example: `  throughline sign-in 'throughline://127.0.0.1:9090/#tllink_…'
  throughline outcomes --workspace acme --set admin_token_file=data/session.token`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			link, err := url.Parse(args[0])
			if err != nil || link.Scheme != app.LinkScheme || link.Host == "" || link.Fragment == "" {
				return fmt.Errorf("this is not a link such as %s://127.0.0.1:9090/#tllink_…", app.LinkScheme) // promise 8: not quoted
			}
			cfg, err := src.load()
			if err != nil {
				return err
			}
			cfg.Settings.Target, cfg.Settings.Token, cfg.Settings.TokenFile = link.Host, secret.String{}, ""
			conn, err := settings.Dial(cfg.Settings, settings.Deps{})
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			resp, err := configv1.NewAccessServiceClient(conn).RedeemAdministratorLink(cmd.Context(),
				&configv1.RedeemAdministratorLinkRequest{Secret: link.Fragment})
			if err != nil {
				return err
			}
			if err := writeSecret(out, resp.GetSession().GetToken()); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "signed in until %s: --set admin_token_file=%s\n", when(resp.GetSession().GetExpiresAt()), out)
			return err
		},
	}
	src.register(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "data/session.token", "`file` for the session's token")
	return cmd
}

// writeSecret writes a file that only its owner can read, whatever was there before.
func writeSecret(path, value string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(value + "\n"); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
