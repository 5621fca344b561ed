// Package recipe holds the ready-made integrations: the rules that most workspaces want, with texts in Japanese and
// English.
//
// A recipe is data, a YAML file under recipes/ whose integration part is the same message that `throughline apply -f`
// takes. Build fills in what a workspace chooses and returns an ordinary integration, which can be saved as it is or
// changed first; nothing at run time knows that it came from a recipe. docs/recipes.md tells how to add one.
package recipe
