package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
	streamv1 "github.com/throughline-dev/throughline/proto/throughline/stream/v1"
	"github.com/throughline-dev/throughline/services/internal/screen"
)

// previewFlags are the flags of `throughline preview`.
type previewFlags struct {
	files            []string
	workspace, saved string
	samples          string
	asJSON, inputs   bool
	recorded         recordedFlags
}

func newPreview() *cobra.Command {
	var t target
	var f previewFlags
	cmd := &cobra.Command{
		Use:     "preview {-f <file>... | --workspace <id> --saved <integration>}",
		GroupID: "look",
		Short:   "What an integration would write of sample or recorded engagements, without writing",
		Long: `Runs integrations over samples with the very code that runs them in production, and shows every record with its fields and
where each value comes from, or why there is none. Nothing is saved, written or asked of an org.

Samples are a JSON array, or JSON objects one after the other: each an engagement message, or an object with an engagement, the
viewer's personal data and the resolution. --print-samples prints the built-in ones, to begin with.

--engagement, --event and --newest take engagements of the workspace that the pipeline still has. What depends on addresses and
names is shown as it would be for a made-up person; --reveal shows it as it is to those who may see it, and is audited.`,
		Example: `  throughline preview -f integration.yaml
  throughline preview -f integration.yaml --samples mine.json --json
  throughline preview --workspace acme --saved follow-up
  throughline preview -f integration.yaml --newest 20                # of the newest engagements of the workspace
  throughline preview -f integration.yaml --event 0199d5a2-…         # of the visit that this event belongs to
  throughline preview -f integration.yaml --print-samples > mine.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			requests, err := f.requests(cmd.InOrStdin())
			if err != nil {
				return err
			}
			return t.withCatalogue(func(service configv1.CatalogueServiceClient) error {
				return f.run(cmd.Context(), service, requests, cmd.OutOrStdout())
			})
		},
	}
	t.register(cmd)
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.files, "file", "f", nil, "`file` with integrations or recipes, or - for standard input; may be repeated")
	flags.StringVarP(&f.workspace, "workspace", "w", "", "the workspace of --saved")
	flags.StringVar(&f.saved, "saved", "", "the newest version of this saved integration")
	flags.StringVar(&f.samples, "samples", "", "JSON `file` with samples; without it, built-in ones")
	flags.BoolVar(&f.asJSON, "json", false, "print one JSON object a line")
	flags.BoolVar(&f.inputs, "print-samples", false, "print the samples instead of what would be written")
	f.recorded.register(cmd)
	cmd.MarkFlagsMutuallyExclusive("file", "saved")
	cmd.MarkFlagsOneRequired("file", "saved")
	cmd.MarkFlagsMutuallyExclusive("json", "print-samples")
	return cmd
}

// previewRequest is one integration to preview.
type previewRequest struct {
	name    string
	request *configv1.PreviewIntegrationRequest
}

func (f *previewFlags) requests(stdin io.Reader) ([]previewRequest, error) {
	samples, err := readSamples(stdin, f.samples)
	if err != nil {
		return nil, err
	}
	recorded, err := f.recorded.selection()
	if err != nil {
		return nil, err
	}
	if f.saved != "" {
		if f.workspace == "" {
			return nil, errors.New("--saved: name the --workspace, too")
		}
		return []previewRequest{{f.saved, &configv1.PreviewIntegrationRequest{
			Workspace: f.workspace, Subject: &configv1.PreviewIntegrationRequest_Saved{Saved: f.saved}, Samples: samples, Recorded: recorded,
		}}}, nil
	}
	integrations, err := readIntegrations(stdin, f.files)
	if err != nil {
		return nil, err
	}
	var out []previewRequest
	for _, i := range integrations {
		out = append(out, previewRequest{i.GetId(), &configv1.PreviewIntegrationRequest{
			Workspace: i.GetWorkspace(), Subject: &configv1.PreviewIntegrationRequest_Integration{Integration: i}, Samples: samples, Recorded: recorded,
		}})
	}
	return out, nil
}

// readSamples reads a JSON array, or values one after the other.
func readSamples(stdin io.Reader, name string) ([]*configv1.PreviewSample, error) {
	if name == "" {
		return nil, nil
	}
	data, err := readSettings(stdin, name)
	if err != nil {
		return nil, fmt.Errorf("--samples: %w", err)
	}
	var values []json.RawMessage
	if trimmed := bytes.TrimSpace(data); bytes.HasPrefix(trimmed, []byte("[")) {
		if err := json.Unmarshal(trimmed, &values); err != nil {
			return nil, fmt.Errorf("--samples: %w", err)
		}
	} else {
		for decoder := json.NewDecoder(bytes.NewReader(data)); decoder.More(); {
			var value json.RawMessage
			if err := decoder.Decode(&value); err != nil {
				return nil, fmt.Errorf("--samples: %w", err)
			}
			values = append(values, value)
		}
	}
	if len(values) == 0 {
		return nil, errors.New("--samples: there are none in it")
	}
	out := make([]*configv1.PreviewSample, len(values))
	for n, value := range values {
		if out[n], err = parseSample(value); err != nil {
			return nil, fmt.Errorf("--samples, number %d: %w", n+1, err)
		}
	}
	return out, nil
}

func parseSample(value json.RawMessage) (*configv1.PreviewSample, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(value, &fields); err != nil {
		return nil, errors.New("not a JSON object")
	}
	sample := &configv1.PreviewSample{}
	if _, ok := fields["engagement"]; ok {
		return sample, protojson.Unmarshal(value, sample)
	}
	sample.Engagement = &streamv1.Engagement{}
	return sample, protojson.Unmarshal(value, sample.GetEngagement())
}

func (f *previewFlags) run(ctx context.Context, service configv1.CatalogueServiceClient, requests []previewRequest, w io.Writer) error {
	for n, r := range requests {
		answer, err := service.PreviewIntegration(ctx, r.request)
		if err != nil {
			return fmt.Errorf("integration %s: %w", r.name, err)
		}
		switch {
		case f.inputs && n == 0: // they are the same for all
			err = printInputs(w, answer.GetResults())
		case f.inputs:
		case f.asJSON:
			for _, result := range answer.GetResults() {
				if err = printNamed(w, r.name, result); err != nil {
					break
				}
			}
		default:
			if err = printPreview(w, r.name, answer.GetResults()); err == nil {
				err = printRefusal(ctx, service, r, w)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// printRefusal says what keeps a rule from being saved: a preview shows what it makes of samples, and asks no org.
func printRefusal(ctx context.Context, service configv1.CatalogueServiceClient, r previewRequest, w io.Writer) error {
	if r.request.GetIntegration() == nil {
		return nil
	}
	answer, err := service.ValidateIntegration(ctx, &configv1.ValidateIntegrationRequest{Integration: r.request.GetIntegration()})
	if err != nil {
		return fmt.Errorf("integration %s: %w", r.name, err)
	}
	for n, p := range answer.GetProblems() {
		if n == 0 {
			fmt.Fprintf(w, "%s would be refused by apply:\n", r.name)
		}
		fmt.Fprintf(w, "  %s: %s\n", p.GetField(), p.GetDescription())
	}
	return nil
}

// printInputs prints samples in the form that --samples reads.
func printInputs(w io.Writer, results []*configv1.PreviewResult) error {
	values := make([]json.RawMessage, len(results))
	for n, r := range results {
		data, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(r.GetInput())
		if err != nil {
			return err
		}
		values[n] = data
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(values)
}

func printPreview(w io.Writer, integration string, results []*configv1.PreviewResult) error {
	for _, r := range results {
		if _, err := fmt.Fprintf(w, "%s · %s%s\n", integration, r.GetSample(), recordedText(r.GetRecorded())); err != nil {
			return err
		}
		for _, write := range r.GetWrites() {
			printWrite(w, write)
		}
		for _, o := range r.GetSkipped() {
			outcome := fmt.Sprintf("%s(%s) %s", strings.TrimPrefix(o.GetStatus().String(), "STATUS_"),
				strings.TrimPrefix(o.GetReason().String(), "REASON_"), o.GetObject())
			fmt.Fprintf(w, "  %s: %s\n", strings.TrimSpace(outcome), o.GetDetail())
		}
		if r.GetPassedOver() != "" {
			fmt.Fprintf(w, "  nothing: %s\n", r.GetPassedOver())
		}
		fmt.Fprintln(w)
	}
	return nil
}

func printWrite(w io.Writer, write *configv1.PreviewWrite) {
	fmt.Fprintf(w, "  %s %s", strings.TrimPrefix(write.GetOperation().String(), "OPERATION_"), write.GetObject())
	if write.GetExternalIdField() != "" {
		fmt.Fprintf(w, ", %s = %s", write.GetExternalIdField(), write.GetExternalId())
	}
	fmt.Fprintf(w, "  (action %s)\n", write.GetAction())
	t := screen.NewTable(w, "field", "value", "from")
	for _, f := range write.GetFields() {
		t.AppendRow(screen.Row{f.GetValue().GetField(), valueOf(f.GetValue()), f.GetSource()})
	}
	t.Render()
	for _, warning := range write.GetWarnings() {
		fmt.Fprintf(w, "  note: %s\n", warning)
	}
}

func valueOf(v *streamv1.FieldValue) string {
	switch value := v.GetValue().(type) {
	case *streamv1.FieldValue_Text:
		return value.Text
	case *streamv1.FieldValue_Number:
		return strconv.FormatFloat(value.Number, 'f', -1, 64)
	case *streamv1.FieldValue_Flag:
		return strconv.FormatBool(value.Flag)
	}
	return "(cleared)"
}
