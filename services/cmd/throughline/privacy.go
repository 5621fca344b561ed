package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	configv1 "github.com/throughline-dev/throughline/proto/throughline/config/v1"
)

func newPrivacy() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "privacy",
		GroupID: "look",
		Short:   "Erase a person, or export what is held of one",
		Long: `Does what people may ask of their own data. A person is named by e-mail addresses and phone numbers, which are turned into keyed
hashes and stored nowhere. Give them in a file or on standard input (--address-file -), one a line, rather than on the command line, where
the shell's history and other users may see them. Numbers begin with + and the country code, or --phone-region says the country.`,
		Example: `  throughline privacy erase --workspace acme --address-file person.txt --yes
  throughline privacy status --workspace acme
  throughline privacy export --workspace acme --address-file person.txt --out person.json
  throughline privacy lift --workspace acme --address-file person.txt --yes`,
	}
	cmd.AddCommand(newErase(), newErasureStatus(), newExport(), newLift(), newProposals(), newConfirm(), newDismiss())
	return cmd
}

// privacyFlags are what the commands have in common.
type privacyFlags struct {
	t         target
	workspace string
	addresses []string
	phones    []string
	region    string
	file      string
	asJSON    bool
}

func (f *privacyFlags) register(cmd *cobra.Command, person bool) {
	f.t.register(cmd)
	cmd.Flags().StringVarP(&f.workspace, "workspace", "w", "", "the workspace")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON for machines")
	if err := cmd.MarkFlagRequired("workspace"); err != nil {
		panic(err)
	}
	if person {
		f.registerPerson(cmd)
		cmd.MarkFlagsOneRequired("address", "phone", "address-file")
	}
}

// registerPerson adds the flags that name a person.
func (f *privacyFlags) registerPerson(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.addresses, "address", nil, "an e-mail `address` of the person; may be repeated")
	cmd.Flags().StringArrayVar(&f.phones, "phone", nil, "a phone `number` of the person; may be repeated")
	cmd.Flags().StringVar(&f.region, "phone-region", "", "the `country` of numbers without a country code, e.g. JP")
	cmd.Flags().StringVar(&f.file, "address-file", "", "`file` with one address or number a line, or - for standard input")
}

// maxAddressBytes is far more than the addresses of one person take.
const maxAddressBytes = 64 << 10

// person reads the addresses and numbers from the file, if there is one: what has no @ is a number.
func (f *privacyFlags) person(stdin io.Reader) error {
	if f.file == "" {
		return nil
	}
	in := stdin
	if f.file != "-" {
		file, err := os.Open(f.file)
		if err != nil {
			return fmt.Errorf("--address-file: %w", err)
		}
		defer func() { _ = file.Close() }()
		in = file
	}
	lines := bufio.NewScanner(io.LimitReader(in, maxAddressBytes))
	for n := 1; lines.Scan(); n++ {
		switch line := strings.TrimSpace(lines.Text()); {
		case line == "":
		case strings.ContainsAny(line, "@＠"):
			f.addresses = append(f.addresses, line)
		default:
			if !strings.ContainsFunc(line, unicode.IsDigit) { // the line is not quoted: it may be a name (promise 8)
				return fmt.Errorf("--address-file: line %d is neither an address nor a number", n)
			}
			f.phones = append(f.phones, line)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("--address-file: %w", err)
	}
	if f.named() == 0 {
		return errors.New("--address-file: there is no address in it")
	}
	return nil
}

// named is how many addresses and numbers were given.
func (f *privacyFlags) named() int { return len(f.addresses) + len(f.phones) }

// call runs f with the service.
func (f *privacyFlags) call(ctx context.Context, do func(context.Context, configv1.PrivacyServiceClient) error) error {
	_, conn, err := f.t.dial()
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	return do(ctx, configv1.NewPrivacyServiceClient(conn))
}

func newErase() *cobra.Command {
	var f privacyFlags
	var yes, blank bool
	cmd := &cobra.Command{
		Use:   "erase",
		Short: "Forget a person, and keep them out from now on; only with --yes",
		Long: `Suppresses the person at once: every later event of theirs ends as SKIPPED with ERASED_SUBJECT, and so does what waits to be
written and what a replay brings back. What the installation keeps of them is deleted, which takes about an hour; the
certificate of "privacy status" says what was removed and what remains until when. Records in Salesforce are listed there by
their ids and left alone, for they are the customer's; --blank-rows blanks what says of whom they are in the rows of the
Throughline package.`,
		Example: `  throughline privacy erase --workspace acme --address-file person.txt --yes
  printf '%s\n' mia@example.com mia@home.example | throughline privacy erase --workspace acme --address-file - --yes --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.person(cmd.InOrStdin()); err != nil {
				return err
			}
			if !yes {
				return fmt.Errorf("an erasure of %d addresses and numbers in workspace %s cannot be undone: add --yes", f.named(), f.workspace)
			}
			return f.call(cmd.Context(), func(ctx context.Context, s configv1.PrivacyServiceClient) error {
				got, err := s.StartErasure(ctx, &configv1.StartErasureRequest{
					Workspace: f.workspace, Addresses: f.addresses, Phones: f.phones, PhoneRegion: f.region, Confirm: true, BlankRows: blank,
				})
				if err != nil {
					return err
				}
				return printErasure(cmd.OutOrStdout(), got.GetErasure(), f.asJSON)
			})
		},
	}
	f.register(cmd, true)
	cmd.Flags().BoolVar(&yes, "yes", false, "really erase")
	cmd.Flags().BoolVar(&blank, "blank-rows", false, "blank the person's Engagement__c rows in Salesforce, too")
	return cmd
}

func newLift() *cobra.Command {
	var f privacyFlags
	var yes bool
	cmd := &cobra.Command{
		Use:   "lift",
		Short: "Record a person again who was erased and has registered again, with consent; only with --yes",
		Long: `Ends the suppression of the addresses: what happens from now on is recorded. What happened before stays erased, also when it
is replayed.`,
		Example: `  throughline privacy lift --workspace acme --address-file person.txt --yes
  throughline privacy lift --workspace acme --address mia@example.com --yes --json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.person(cmd.InOrStdin()); err != nil {
				return err
			}
			if !yes {
				return errors.New("lift only with the person's consent: add --yes")
			}
			return f.call(cmd.Context(), func(ctx context.Context, s configv1.PrivacyServiceClient) error {
				got, err := s.LiftSuppression(ctx, &configv1.LiftSuppressionRequest{
					Workspace: f.workspace, Addresses: f.addresses, Phones: f.phones, PhoneRegion: f.region, Confirm: true,
				})
				if err != nil {
					return err
				}
				if f.asJSON {
					return printJSON(cmd.OutOrStdout(), got)
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d of %d addresses and numbers are recorded again from %s on\n",
					got.GetLifted(), f.named(), moment(got.GetLiftedAt()))
				return err
			})
		},
	}
	f.register(cmd, true)
	cmd.Flags().BoolVar(&yes, "yes", false, "really lift")
	return cmd
}
