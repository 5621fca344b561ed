package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

// connectFlags are the flags of `throughline connect`.
type connectFlags struct {
	options                        configv1.ConnectOptions
	settings                       configv1.ConnectSettings
	sandbox, production            bool
	pkce, secretFile, phoneRole    string
	dialling                       bool
	setupLink, noWait, asJSON      bool
	lifetime, pollEvery            time.Duration
	acceptOrg, acceptFlow          string
	replaceSecret, guide           bool
	lang                           string
	needsPackage, needsPackageSays bool
}

func newConnect() *cobra.Command {
	var t target
	f := connectFlags{pollEvery: time.Second}
	cmd := &cobra.Command{
		Use:     "connect --workspace <id> <connection>",
		GroupID: "look",
		Short:   "Connect a Salesforce org: print the link, wait for the consent, show what was found",
		Long: `Prints an address to open in a browser. Whoever opens it logs in at Salesforce and allows the app there; passwords are typed
at Salesforce only. Then the org is looked at, and what is in the way is named with the place where it is changed.

With --setup-link the address is for somebody else, an administrator of the Salesforce org who needs no account here: it works
once, and for seven days. An org that was connected before keeps everything; another org must be accepted.

The app is the platform's own, or your own with --client-id and --client-secret-file. Register its callback address, which is
printed too, character by character. --guide prints how an app is registered, field by field, for this installation.`,
		Example: `  throughline connect --workspace acme production
  throughline connect --workspace acme --guide                        # how to register an app of your own
  throughline connect --workspace acme uat --sandbox --source immedio
  throughline connect --workspace acme production --login-url https://acme.my.salesforce.com --client-id 3MVG9… --client-secret-file secret
  throughline connect --workspace acme phone --source zoom --phone-role admin --third-party-dialling --expected-email hana@acme.example
  throughline connect --workspace acme production --setup-link       # for the Salesforce administrator, who finishes it
  throughline connect --workspace acme production --flow 0199… --accept-org 00D5e000000AbCdEAK
  throughline connect --workspace acme production --replace-secret --client-secret-file secret   # tried first; the old one stays if it fails`,
		Args: func(cmd *cobra.Command, args []string) error {
			if f.guide {
				return cobra.MaximumNArgs(1)(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.guide {
				return printAppGuides(cmd.Context(), &t, guideRequest{f.options.GetWorkspace(), f.lang, f.asJSON}, cmd.OutOrStdout())
			}
			f.options.Connection = args[0]
			f.needsPackageSays = cmd.Flags().Changed("needs-package")
			if err := f.fill(cmd.InOrStdin()); err != nil {
				return err
			}
			_, conn, err := t.dial()
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close() }()
			return f.run(cmd.Context(), configv1.NewConnectServiceClient(conn), cmd.OutOrStdout())
		},
	}
	t.register(cmd)
	f.register(cmd)
	return cmd
}

func (f *connectFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.options.Workspace, "workspace", "w", "", "the workspace")
	flags.StringVar(&f.options.Name, "name", "", "name of a new connection")
	flags.BoolVar(&f.sandbox, "sandbox", false, "a sandbox is meant")
	flags.BoolVar(&f.production, "production", false, "a production org is meant")
	flags.StringVar(&f.options.LoginUrl, "login-url", "", "My Domain `address` where the user logs in; default: Salesforce's general one")
	flags.StringVar(&f.settings.Source, "source", "", "whose editions and demands apply: loom, immedio, zoom, walkme or hopin")
	flags.BoolVar(&f.needsPackage, "needs-package", false, "Throughline's package must be in the org")
	flags.StringVar(&f.settings.PackageVersion, "package-version", "", "the least `version` of the package, e.g. 1.1; default: the installation's")
	flags.BoolVar(&f.guide, "guide", false, "only print how to register an app at Salesforce")
	flags.StringVar(&f.lang, "lang", "en", "language of the guide: en or ja")
	flags.StringVar(&f.pkce, "pkce", "", "auto, on or off")
	flags.StringVar(&f.options.ClientId, "client-id", "", "consumer key of your own app")
	flags.StringVar(&f.secretFile, "client-secret-file", "", "`file` with its consumer secret, or - for standard input")
	flags.StringVar(&f.options.ExpectedEmail, "expected-email", "", "`address` that the Salesforce user must have")
	flags.StringVar(&f.phoneRole, "phone-role", "", "zoom: your role in the phone account: owner, admin or member")
	flags.BoolVar(&f.dialling, "third-party-dialling", false, "zoom: calls started from other applications are allowed in the phone account")
	flags.BoolVar(&f.settings.AnyAddress, "any-address", false, "zoom: the Salesforce user may have another address than the phone account's administrator")
	flags.BoolVar(&f.options.OtherUser, "other-user", false, "ask for a login even if the browser has a session")
	flags.BoolVar(&f.options.AcceptOtherOrg, "accept-other-org", false, "the org may be another one than before")
	flags.BoolVar(&f.options.Restart, "restart", false, "end a login or set-up link that is pending")
	flags.BoolVar(&f.setupLink, "setup-link", false, "make a link for the Salesforce administrator, and do not wait")
	flags.DurationVar(&f.lifetime, "lifetime", 7*24*time.Hour, "how long the set-up link works, an hour to 7 days")
	flags.BoolVar(&f.noWait, "no-wait", false, "print the link and do not wait")
	flags.StringVar(&f.acceptFlow, "flow", "", "follow this attempt instead of beginning one")
	flags.StringVar(&f.acceptOrg, "accept-org", "", "with --flow: connect to this other `org`, by its id")
	flags.BoolVar(&f.replaceSecret, "replace-secret", false, "only try and keep a new consumer secret, from --client-secret-file")
	flags.BoolVar(&f.asJSON, "json", false, "print JSON objects, one a line")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	cmd.MarkFlagsMutuallyExclusive("sandbox", "production")
	cmd.MarkFlagsMutuallyExclusive("setup-link", "flow")
}

// maxSecretFile is far more than a consumer secret has, in bytes.
const maxSecretFile = 4096

// fill turns flags into options.
func (f *connectFlags) fill(stdin io.Reader) error {
	switch {
	case f.sandbox:
		f.settings.Environment = configv1.Environment_ENVIRONMENT_SANDBOX
	case f.production:
		f.settings.Environment = configv1.Environment_ENVIRONMENT_PRODUCTION
	}
	f.settings.NeedsPackage = f.needsPackage
	if f.phoneRole != "" || f.dialling {
		role, ok := configv1.PhoneRole_value["PHONE_ROLE_"+strings.ToUpper(f.phoneRole)]
		if !ok {
			return fmt.Errorf("--phone-role: %q is not owner, admin or member", f.phoneRole)
		}
		f.settings.Phone = &configv1.PhoneAccount{Role: configv1.PhoneRole(role), ThirdPartyDialling: f.dialling}
	}
	if f.pkce != "" {
		mode, ok := configv1.PkceMode_value["PKCE_MODE_"+strings.ToUpper(f.pkce)]
		if !ok {
			return fmt.Errorf("--pkce: %q is not auto, on or off", f.pkce)
		}
		f.settings.Pkce = configv1.PkceMode(mode)
	}
	if f.needsPackageSays || !proto.Equal(&f.settings, &configv1.ConnectSettings{}) {
		f.options.Settings = &f.settings
	}
	if f.acceptOrg != "" && f.acceptFlow == "" {
		return errors.New("--accept-org: name the attempt with --flow")
	}
	if f.secretFile == "" {
		if f.replaceSecret {
			return errors.New("--replace-secret: name the new one with --client-secret-file")
		}
		return nil
	}
	in := stdin
	if f.secretFile != "-" {
		file, err := os.Open(f.secretFile)
		if err != nil {
			return fmt.Errorf("--client-secret-file: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, maxSecretFile))
	if err != nil {
		return fmt.Errorf("--client-secret-file: %w", err)
	}
	f.options.ClientSecret = strings.TrimSpace(string(data))
	return nil
}

func (f *connectFlags) run(ctx context.Context, service configv1.ConnectServiceClient, w io.Writer) error {
	if f.replaceSecret {
		_, err := service.ReplaceAppSecret(ctx, &configv1.ReplaceAppSecretRequest{
			Workspace: f.options.GetWorkspace(), Connection: f.options.GetConnection(), ClientSecret: f.options.GetClientSecret(),
		})
		if err == nil {
			fmt.Fprintf(w, "✓ %s uses the new secret\n", f.options.GetConnection())
		}
		return err
	}
	if f.acceptOrg != "" {
		_, err := service.AcceptOtherOrg(ctx, &configv1.AcceptOtherOrgRequest{
			Workspace: f.options.GetWorkspace(), Flow: f.acceptFlow, OrgId: f.acceptOrg,
		})
		if err != nil {
			return err
		}
	}
	if f.acceptFlow != "" {
		return f.follow(ctx, service, f.acceptFlow, w)
	}
	if f.setupLink {
		resp, err := service.CreateSetupLink(ctx, &configv1.CreateSetupLinkRequest{Options: &f.options, Lifetime: durationpb.New(f.lifetime)})
		if err != nil {
			return err
		}
		return f.printLink(w, resp.GetFlow(), resp.GetLink())
	}
	resp, err := service.StartConnect(ctx, &configv1.StartConnectRequest{Options: &f.options})
	if err != nil {
		return err
	}
	if err := f.printLink(w, resp.GetFlow(), resp.GetLink()); err != nil || f.noWait {
		return err
	}
	return f.follow(ctx, service, resp.GetFlow().GetId(), w)
}

func (f *connectFlags) printLink(w io.Writer, flow *configv1.ConnectFlow, link string) error {
	if f.asJSON {
		return f.printJSON(w, flow, link)
	}
	whom := "Open this address in your browser"
	if flow.GetSetupLink() {
		whom = "Give this address to the Salesforce administrator; it works once"
	}
	fmt.Fprintf(w, "%s, until %s:\n\n  %s\n\nThe app's callback address is %s\n", whom,
		flow.GetExpiresAt().AsTime().Local().Format("2006-01-02 15:04 MST"), link, flow.GetCallbackUrl())
	if networks := flow.GetOutgoingAddresses(); len(networks) > 0 {
		fmt.Fprintf(w, "Our calls come from %s\n", strings.Join(networks, ", "))
	}
	for _, c := range flow.GetOutgoingChanges() {
		fmt.Fprintf(w, "From %s on they come from %s as well; allow it in time\n", c.GetFrom().AsTime().Format(time.RFC3339), c.GetNetwork())
	}
	fmt.Fprintf(w, "The attempt is %s\n", flow.GetId())
	return nil
}

func (f *connectFlags) printJSON(w io.Writer, flow *configv1.ConnectFlow, link string) error {
	data, err := protojson.Marshal(flow)
	if err != nil {
		return err
	}
	return json.NewEncoder(w).Encode(struct {
		Link string          `json:"link,omitempty"`
		Flow json.RawMessage `json:"flow"`
	}{link, data})
}

// steps is how far a flow is, in words.
var steps = map[configv1.FlowStatus]string{
	configv1.FlowStatus_FLOW_STATUS_WAITING:       "waiting for the link to be opened …",
	configv1.FlowStatus_FLOW_STATUS_AT_SALESFORCE: "at Salesforce …",
	configv1.FlowStatus_FLOW_STATUS_EXCHANGING:    "authorised; looking at the org …",
	configv1.FlowStatus_FLOW_STATUS_CONFIRM:       "waiting for the org to be confirmed …",
}

// follow prints every step until the flow has ended or waits for an administrator here.
func (f *connectFlags) follow(ctx context.Context, service configv1.ConnectServiceClient, id string, w io.Writer) error {
	ticker := time.NewTicker(f.pollEvery)
	defer ticker.Stop()
	var last configv1.FlowStatus
	for {
		resp, err := service.GetConnectFlow(ctx, &configv1.GetConnectFlowRequest{Workspace: f.options.GetWorkspace(), Flow: id})
		if err != nil {
			return err
		}
		flow := resp.GetFlow()
		text, pending := steps[flow.GetStatus()]
		if other := flow.GetStatus() == configv1.FlowStatus_FLOW_STATUS_CONFIRM && flow.GetResult().GetCode() != ""; other || !pending {
			return f.ended(ctx, service, flow, w)
		}
		if flow.GetStatus() != last && !f.asJSON {
			fmt.Fprintln(w, text)
		}
		last = flow.GetStatus()
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ended says what came of a flow.
func (f *connectFlags) ended(ctx context.Context, service configv1.ConnectServiceClient, flow *configv1.ConnectFlow, w io.Writer) error {
	if f.asJSON {
		if err := f.printJSON(w, flow, ""); err != nil {
			return err
		}
	}
	org, result := flow.GetResult().GetOrg(), flow.GetResult()
	switch flow.GetStatus() {
	case configv1.FlowStatus_FLOW_STATUS_DONE:
	case configv1.FlowStatus_FLOW_STATUS_CONFIRM:
		return fmt.Errorf("%s; to accept it: throughline connect --workspace %s %s --flow %s --accept-org %s",
			result.GetDetail(), flow.GetWorkspace(), flow.GetConnection(), flow.GetId(), org.GetId())
	default:
		return fmt.Errorf("not connected: %s: %s", result.GetCode(), result.GetDetail())
	}
	if f.asJSON {
		return nil
	}
	fmt.Fprintf(w, "\n✓ connected to %s (%s), %s, %s, as %s; granted: %s\n", org.GetName(), org.GetId(), org.GetEdition(), environment(org),
		result.GetConsent().GetUsername(), result.GetConsent().GetScopes())
	for _, note := range result.GetNotes() {
		fmt.Fprintf(w, "  note: %s\n", note)
	}
	resp, err := service.GetDiagnosis(ctx, &configv1.GetDiagnosisRequest{Workspace: flow.GetWorkspace(), Connection: flow.GetConnection()})
	if err != nil {
		return fmt.Errorf("connected, and not diagnosed yet: %w", err)
	}
	return printDiagnosis(w, resp.GetDiagnosis(), "en")
}
