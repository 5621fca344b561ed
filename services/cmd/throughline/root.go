package main

import (
	"github.com/spf13/cobra"

	"github.com/throughline-dev/throughline/libs/conf"
	"github.com/throughline-dev/throughline/services/app"
)

// envPrefix is the prefix of environment variables that set configuration.
const envPrefix = "THROUGHLINE_"

// sources are the flags that say where configuration comes from.
type sources struct {
	file string
	set  []string
}

func (s *sources) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "config", "", "YAML `file` with the configuration (also THROUGHLINE_CONFIG)")
	cmd.Flags().StringArrayVar(&s.set, "set", nil, "one setting over all others, e.g. --set kafka.brokers=[a:9092]; may be repeated")
}

// load reads the configuration over the defaults.
func (s *sources) load() (*app.Config, error) {
	cfg := app.DefaultConfig()
	err := conf.Load(&cfg, conf.Sources{File: configFile(s.file), EnvPrefix: envPrefix, Environ: configEnviron(), Set: s.set})
	return &cfg, err
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "throughline",
		Short: "Engagement from Kafka into the right Salesforce record, explained event by event",
		Long: `Throughline turns what people watch and read into Salesforce records: viewing events come in over Kafka or HTTP, become
visits and engagements, find their Lead or Contact, and are written by each customer's own rules.`,
		Example: `  throughline run                               # everything in one process, with a stream of events
  throughline serve all --config tl.yaml        # all services, against your Kafka
  throughline serve writer --config tl.yaml     # one service, as many replicas as you like
  throughline apply -f acme.yaml                # a workspace, its connection and its rules
  throughline connect --workspace acme crm      # let a Salesforce administrator authorise an org
  throughline trace --workspace acme 0199d5a2-… # what became of one event`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddGroup(
		&cobra.Group{ID: "try", Title: "Try it:"}, &cobra.Group{ID: "serve", Title: "Run it:"},
		&cobra.Group{ID: "look", Title: "Set it up and look into it:"}, &cobra.Group{ID: "measure", Title: "Measure it:"},
	)
	root.AddCommand(
		newRun(), newDemo(), newGenerate(), newSimulate(), newServe(), newInit(), newACLs(), newHealth(), newKeys(),
		newApply(), newWorkspaces(), newConnect(), newConnections(), newDisconnect(), newDoctor(), newOverride(), newCheck(), newCatalogue(),
		newPreview(), newSend(), newTrace(), newOutcomes(), newDays(), newNotices(), newReplay(), newIntegrations(),
		newSettings(), newMembers(), newAPIKeys(), newOperators(), newAudit(), newPrivacy(), newSignIn(), newPlans(),
		newGroups(), newEvents(), newDrafts(), newReports(), newPushes(), newRuns(), newSetup(), newTopics(), newLogLevel(),
		newDeadLetters(),
		newBench(),
	)
	teach(root)
	return root
}
