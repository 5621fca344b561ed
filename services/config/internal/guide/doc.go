// Package guide writes what administrators have to do at Salesforce, in Japanese and English and with the values of this
// installation: how an app is registered (IMM-12), where our addresses are allowed (IMM-4), which fields an integration lacks
// (WALK-7). It asks nobody and keeps nothing. Labels are those of Salesforce's Setup in each language. Sources: Salesforce Help,
// "Create an External Client App", "Create a Connected App", "Restrict Login IP Addresses in Profiles", "Create Custom Fields",
// and their Japanese editions.
package guide
