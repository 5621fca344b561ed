// Package connectweb is the few pages that a browser meets on its way to Salesforce and back: what a link is for, the trip,
// and what came of it, in Japanese and English. It decides nothing: package consent does.
//
// The pages need no account here, so they give nothing away: no setting, no secret, and of a login only what the person who
// made it knows. They load nothing, run no script, and may not be framed.
package connectweb
