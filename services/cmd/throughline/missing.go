package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// missingFlags are the flags of `throughline catalogue missing`.
type missingFlags struct {
	target
	files                  []string
	workspace, saved, lang string
	copyable, asJSON       bool
}

func newCatalogueMissing() *cobra.Command {
	var f missingFlags
	cmd := &cobra.Command{
		Use:   "missing {-f <file>... | --workspace <id> --saved <integration>}",
		Short: "The fields to ask an administrator of the org for",
		Long: `Asks the org again, and lists the fields that integrations write and that are not there, or not visible to the integration
user: the two look the same to it. With --copy the list is printed as a text to hand on. Throughline makes no fields.`,
		Example: `  throughline catalogue missing -f acme.yaml
  throughline catalogue missing --workspace acme --saved follow-up --copy --lang ja`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			requests, err := f.requests(cmd.InOrStdin())
			if err != nil {
				return err
			}
			_, conn, err := f.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			return f.run(cmd.Context(), configv1.NewSetupServiceClient(conn), requests, cmd.OutOrStdout())
		},
	}
	f.target.register(cmd)
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "file", "f", nil, "`file` with integrations or recipes, or - for standard input; may be repeated")
	flags.StringVarP(&f.workspace, "workspace", "w", "", "the workspace of --saved")
	flags.StringVar(&f.saved, "saved", "", "the newest version of this saved integration")
	flags.BoolVar(&f.copyable, "copy", false, "print the text to hand on")
	flags.StringVar(&f.lang, "lang", "en", "language of the text: en or ja")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	cmd.MarkFlagsMutuallyExclusive("file", "saved")
	cmd.MarkFlagsOneRequired("file", "saved")
	cmd.MarkFlagsMutuallyExclusive("json", "copy")
	return cmd
}

func (f *missingFlags) requests(stdin io.Reader) ([]*configv1.ListMissingFieldsRequest, error) {
	if f.saved != "" {
		if f.workspace == "" {
			return nil, errors.New("--saved: name the --workspace, too")
		}
		return []*configv1.ListMissingFieldsRequest{{
			Workspace: f.workspace, Subject: &configv1.ListMissingFieldsRequest_Saved{Saved: f.saved},
		}}, nil
	}
	integrations, err := readIntegrations(stdin, f.files)
	if err != nil {
		return nil, err
	}
	out := make([]*configv1.ListMissingFieldsRequest, len(integrations))
	for n, i := range integrations {
		out[n] = &configv1.ListMissingFieldsRequest{Workspace: i.GetWorkspace(), Subject: &configv1.ListMissingFieldsRequest_Integration{Integration: i}}
	}
	return out, nil
}

func (f *missingFlags) run(ctx context.Context, service configv1.SetupServiceClient, requests []*configv1.ListMissingFieldsRequest, w io.Writer) error {
	texts := guideRequest{lang: f.lang}
	if err := texts.check(); err != nil {
		return err
	}
	for _, r := range requests {
		answer, err := service.ListMissingFields(ctx, r)
		if err != nil {
			return err
		}
		name := r.GetSaved()
		if r.GetIntegration() != nil {
			name = r.GetIntegration().GetId()
		}
		switch {
		case f.asJSON:
			if err := printNamed(w, name, answer); err != nil {
				return err
			}
		case f.copyable:
			fmt.Fprint(w, texts.text(answer.GetText()))
		case len(answer.GetFields()) == 0:
			fmt.Fprintf(w, "%s: nothing is missing\n", name)
		default:
			printMissing(w, name, answer)
		}
	}
	return nil
}

func printMissing(w io.Writer, integration string, answer *configv1.ListMissingFieldsResponse) {
	t := screen.NewTable(w, "object", "field", "label", "type", "length", "")
	for _, f := range answer.GetFields() {
		note := ""
		switch {
		case f.GetOfPackage():
			note = "the package brings it"
		case f.GetExternalId():
			note = "external id, unique"
		}
		length := any("")
		if f.GetLength() > 0 {
			length = f.GetLength()
		}
		t.AppendRow(screen.Row{f.GetObject(), f.GetField(), f.GetLabel(), f.GetType(), length, note})
	}
	t.Render()
	user := answer.GetUser()
	if user == "" {
		user = "the integration user"
	}
	fmt.Fprintf(w, "%s: these are not there, or not visible to %s; --copy prints a text to hand on\n", integration, user)
}
