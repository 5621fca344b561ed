package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func newExport() *cobra.Command {
	var f privacyFlags
	var out, id string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Everything that is held of a person, as JSON",
		Long: `Has everything gathered that is held of the person: events, visits, what was written to Salesforce with the ids of the
records, and the run log. It waits until that is done, and writes the document to --out, which nobody else may read, or to
standard output. The installation keeps it sealed for 7 days; --id reads it again.`,
		Example: `  throughline privacy export --workspace acme --address-file person.txt --out person.json
  throughline privacy export --workspace acme --id 7LMVVJ3Q… --out person.json
  throughline privacy export --workspace acme --address mia@example.com --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.call(cmd.Context(), func(ctx context.Context, s configv1.PrivacyServiceClient) error {
				ctx, cancel := context.WithTimeout(ctx, wait)
				defer cancel()
				if id == "" {
					if err := f.person(cmd.InOrStdin()); err != nil {
						return err
					}
					asked, err := s.ExportPerson(ctx, &configv1.ExportPersonRequest{
						Workspace: f.workspace, Addresses: f.addresses, Phones: f.phones, PhoneRegion: f.region,
					})
					if err != nil {
						return err
					}
					id = asked.GetExport().GetId()
				}
				return f.save(ctx, cmd, s, exportTo{id: id, out: out})
			})
		},
	}
	f.register(cmd, false)
	f.registerPerson(cmd)
	cmd.Flags().StringVar(&id, "id", "", "an export that was made before")
	cmd.Flags().StringVarP(&out, "out", "o", "", "`file` to write; without it the document is printed")
	cmd.Flags().DurationVar(&wait, "wait", 30*time.Minute, "how long to wait at most")
	cmd.MarkFlagsOneRequired("address", "phone", "address-file", "id")
	cmd.MarkFlagsMutuallyExclusive("id", "address")
	cmd.MarkFlagsMutuallyExclusive("id", "address-file")
	return cmd
}

// exportTo is an export and the file it goes to, "" for standard output.
type exportTo struct{ id, out string }

// save waits for an export and writes it.
func (f *privacyFlags) save(ctx context.Context, cmd *cobra.Command, s configv1.PrivacyServiceClient, to exportTo) (err error) {
	ready, err := f.await(ctx, s, to.id)
	if err != nil {
		return err
	}
	w := cmd.OutOrStdout()
	if to.out != "" {
		file, err := os.OpenFile(to.out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("--out: %w", err)
		}
		defer func() { err = errors.Join(err, file.Close()) }()
		w = file
	}
	if err := f.copy(ctx, w, s, ready); err != nil {
		return err
	}
	switch {
	case to.out == "":
		_, err = fmt.Fprintln(w)
		return err
	case f.asJSON:
		return printJSON(cmd.OutOrStdout(), ready.GetExport())
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d bytes; export %s can be read until %s\n",
		to.out, ready.GetExport().GetSize(), to.id, moment(ready.GetExport().GetExpiresAt()))
	return err
}

// exportPoll is the time between two looks whether an export is ready.
const exportPoll = 500 * time.Millisecond

func (f *privacyFlags) await(ctx context.Context, s configv1.PrivacyServiceClient, id string) (*configv1.GetExportResponse, error) {
	ticker := time.NewTicker(exportPoll)
	defer ticker.Stop()
	for {
		got, err := s.GetExport(ctx, &configv1.GetExportRequest{Workspace: f.workspace, ExportId: id})
		if err != nil || got.GetExport().GetStatus() == configv1.ExportStatus_EXPORT_STATUS_READY {
			return got, err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("export %s is not ready yet: read it later with --id %s", id, id)
		}
	}
}

// copy writes the document, part by part.
func (f *privacyFlags) copy(ctx context.Context, w io.Writer, s configv1.PrivacyServiceClient, part *configv1.GetExportResponse) error {
	for offset := int64(0); len(part.GetData()) > 0; {
		if _, err := w.Write(part.GetData()); err != nil {
			return err
		}
		offset += int64(len(part.GetData()))
		var err error
		part, err = s.GetExport(ctx, &configv1.GetExportRequest{Workspace: f.workspace, ExportId: part.GetExport().GetId(), Offset: offset})
		if err != nil {
			return err
		}
	}
	return nil
}
