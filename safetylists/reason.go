package safetylists

// Reason is a stable code for why a question was allowed or refused. The zero value is NotDecided,
// a refusal.
type Reason string

// The codes. Decide returns those of the first two groups; agent and controller return the others.
const (
	NotDecided Reason = ""
	Allowed    Reason = "ALLOWED"

	Denied             Reason = "DENIED"
	PortForbidden      Reason = "PORT_FORBIDDEN"
	StackHazard        Reason = "STACK_HAZARD"
	CautionOnly        Reason = "CAUTION_ONLY"
	NotApproved        Reason = "NOT_APPROVED"
	QuestionUnapproved Reason = "QUESTION_NOT_APPROVED"
	VersionUnknown     Reason = "VERSION_UNKNOWN"
	VersionOutside     Reason = "VERSION_OUTSIDE"
	IdentityUncertain  Reason = "IDENTITY_UNCERTAIN"
	IdentityConflict   Reason = "IDENTITY_CONFLICT"
	EvidenceTooWeak    Reason = "EVIDENCE_TOO_WEAK"
	NotSignedOff       Reason = "NOT_SIGNED_OFF"
	ApprovalExpired    Reason = "APPROVAL_EXPIRED"
	InUseUnknown       Reason = "IN_USE_UNKNOWN"
	OptionUnknown      Reason = "OPTION_UNKNOWN"
	QuietHours         Reason = "QUIET_HOURS"
	NotRegistered      Reason = "NOT_REGISTERED"

	NoList             Reason = "NO_LIST"
	ListExpired        Reason = "LIST_EXPIRED"
	ListUntrusted      Reason = "LIST_UNTRUSTED"
	ListOther          Reason = "LIST_OTHER"
	PlanNotApproved    Reason = "PLAN_NOT_APPROVED"
	PermitInvalid      Reason = "PERMIT_INVALID"
	PermitExpired      Reason = "PERMIT_EXPIRED"
	PermitUsed         Reason = "PERMIT_USED"
	OutsideWindow      Reason = "OUTSIDE_WINDOW"
	Held               Reason = "HELD"
	NoLease            Reason = "NO_LEASE"
	ClockSkew          Reason = "CLOCK_SKEW"
	MinInterval        Reason = "MIN_INTERVAL"
	BudgetSpent        Reason = "BUDGET_SPENT"
	DeviceBusy         Reason = "DEVICE_BUSY"
	WaveWaits          Reason = "WAVE_WAITS"
	PaceSpent          Reason = "PACE_SPENT"
	Quarantined        Reason = "QUARANTINED"
	AddressUnproven    Reason = "ADDRESS_NOT_PROVEN"
	AddressMoved       Reason = "ADDRESS_MOVED"
	AddressOutside     Reason = "ADDRESS_OUTSIDE"
	SourceNotPermitted Reason = "SOURCE_NOT_PERMITTED"
	NoSecret           Reason = "NO_SECRET"
	CredentialRefused  Reason = "CREDENTIAL_REFUSED"
	EngineChanged      Reason = "ENGINE_CHANGED"
	CertificateChanged Reason = "CERTIFICATE_CHANGED"
	DeviceSlow         Reason = "DEVICE_SLOW"
	DeviceRestarted    Reason = "DEVICE_RESTARTED"
	ServiceGone        Reason = "SERVICE_GONE"
	NoPlugin           Reason = "NO_PLUGIN"
	PluginBreach       Reason = "PLUGIN_BREACH"
	PluginFailed       Reason = "PLUGIN_FAILED"
	JournalFailed      Reason = "JOURNAL_FAILED"
	AgentOffline       Reason = "AGENT_OFFLINE"
	Stopped            Reason = "STOPPED"
)

// Words is what a technician reads: what did not happen, why, and what to do about it.
type Words struct{ What, Why, Do string }

// String joins the three sentences.
func (w Words) String() string { return w.What + " " + w.Why + " " + w.Do }

const notAsked = "The device was not asked."

// catalogue is the one place where reason codes get their words.
func catalogue() map[Reason]Words {
	return map[Reason]Words{
		NotDecided: {notAsked, "No decision was made about this question.", "Report this to the people who run Primum: it should not happen."},
		Allowed:    {"The device may be asked.", "A signed allowance covers this product, version and exact question.", "Nothing to do."},

		Denied:             {notAsked, "The safety list names this product, or one that it may be, as harmed by network traffic.", "Leave it as it is. Only those who made the statement can lift it; its source is named there."},
		PortForbidden:      {notAsked, "Nothing may be sent to this port: printers print it and serial converters pass it on to whatever is attached.", "Correct the port in the inventory, or leave the device as it is."},
		StackHazard:        {notAsked, "The network software inside this product is one that unusual traffic is known to bring down.", "Ask the manufacturer for an allowance that names this hazard and accepts it."},
		CautionOnly:        {notAsked, "The safety list has a caution for this product and no allowance.", "Read the caution, then ask the manufacturer for a written allowance."},
		NotApproved:        {notAsked, "Nobody has approved any question for this manufacturer and model.", "Ask the manufacturer which questions the product can take, or leave it as it is."},
		QuestionUnapproved: {notAsked, "This product has an allowance, but not for this exact question.", "Ask the manufacturer for an allowance that names this question."},
		VersionUnknown:     {notAsked, "The allowance covers certain software versions, and the version of this device is not known.", "Read the version at the device and enter it in the CMMS with your name and the date."},
		VersionOutside:     {notAsked, "The allowance on file covers other software versions than the one of this device.", "Ask the manufacturer for an allowance for this version, or leave it as it is."},
		IdentityUncertain:  {notAsked, "This question needs two independent sources that agree on what the device is.", "Let it answer an approved identify question first, or enter what you read at the device."},
		IdentityConflict:   {notAsked, "The sources disagree on what this device is.", "Go to the device, read the label and the version, and correct the record that is wrong."},
		EvidenceTooWeak:    {notAsked, "The document behind this allowance was only seen as a table of contents.", "Obtain the manufacturer's document and have the allowance renewed."},
		NotSignedOff:       {notAsked, "This hospital has not signed off the allowance.", "Have the allowance signed off: one person where its document was read in full, two where in excerpt."},
		ApprovalExpired:    {notAsked, "The allowance for this product has expired.", "Ask the manufacturer to renew it."},
		InUseUnknown:       {notAsked, "It is not known whether a patient depends on this device right now.", "Confirm at the device that it is not in use, with a time limit: primum devices out-of-use."},
		OptionUnknown:      {notAsked, "The allowance needs a licensed option, and nobody has confirmed that this device has it.", "Read the licensed options at the device and enter them in the inventory."},
		QuietHours:         {notAsked, "The ward of this device wants nothing to be asked in these hours.", "Make the approved time outside the hours of the ward, which the site file names."},
		NotRegistered:      {notAsked, "The inventory lacks what the question needs: address, port, AE title, or HL7 application and facility.", "Enter what is missing in the inventory."},

		NoList:             {notAsked, "There is no safety list on the agent.", "Publish a signed list release to the controller."},
		ListExpired:        {notAsked, "The safety list is older than it may be.", "Publish a newer list release."},
		ListUntrusted:      {notAsked, "The signature of the safety list is missing or wrong.", "Do not use this list. Find out where it came from."},
		ListOther:          {notAsked, "The plan was made from another release of the safety list than the agent holds.", "Make the plan again."},
		PlanNotApproved:    {notAsked, "The plan does not carry the approval that this site asks for.", "Show the plan to an approver and have it approved."},
		PermitInvalid:      {notAsked, "The permit for this question is not genuine or was altered.", "Treat this as a security incident."},
		PermitExpired:      {notAsked, "The permit for this question is not valid at this moment.", "Check the clocks of controller and agent, then run the plan again."},
		PermitUsed:         {notAsked, "This permit was used before. A permit is good for one question.", "Nothing to do: the device is asked at most once."},
		OutsideWindow:      {notAsked, "It is outside the approved time, or too late in it for the question to end in time.", "Wait for the next approved time, or make it longer."},
		Held:               {notAsked, "A hold stops this device, its model, the site, or everything.", "Ask the person who placed the hold; lifting it needs a role and a reason."},
		NoLease:            {notAsked, "The agent has no leave from the controller to go on.", "Check the connection between agent and controller."},
		ClockSkew:          {notAsked, "The clocks of agent and controller differ by more than 30 seconds.", "Set the clocks right."},
		MinInterval:        {notAsked, "The device was asked this lately and is left in peace until its rest time is over.", "Use the last answer, or wait."},
		BudgetSpent:        {notAsked, "The budget of this caller for today is used up.", "Wait until tomorrow, or have a larger standing approval signed."},
		WaveWaits:          {notAsked, "The question is new to this model here: it goes to a few devices first, and to the next only when those stayed well.", "Nothing to do: it is asked in a later approved time. If a device of the model did not stay well, look at that one first."},
		PaceSpent:          {notAsked, "As many questions as this device, its model, its subnet, the agent or the site takes in a time were asked already.", "Nothing to do: it is asked in a later approved time, or give the approved time more length."},
		DeviceBusy:         {notAsked, "Another question to this device was still under way.", "Nothing to do: it is asked in a later approved time."},
		Quarantined:        {notAsked, "The device showed distress at an earlier question and is left in peace.", "Have a person look at the device, and clear it with primum devices clear."},
		AddressUnproven:    {notAsked, "Nothing proves that this address still belongs to this device.", "Give the agent a lease file to watch, or attest a fixed address in the inventory."},
		AddressMoved:       {notAsked, "The address no longer belongs to this device.", "Find the device and correct its address in the inventory."},
		AddressOutside:     {notAsked, "The address is not one that this agent may reach.", "Check the address in the inventory and the policy of the agent."},
		SourceNotPermitted: {notAsked, "The allowance names the addresses that may ask this device, and the agent has another one.", "Have it asked by the agent that the allowance names, or ask the manufacturer."},
		NoSecret:           {notAsked, "The agent has no credential for this device: a read community, or a user for SNMP version 3.", "Set it with primum secret set."},
		CredentialRefused:  {"The device did not answer the question.", "It does not take this credential. It is not tried a second time, because devices lock out or raise an alarm.", "Find out the right one and set it with primum secret set."},
		CertificateChanged: {"The question was not sent.", "The device shows another certificate than the one that is registered for it, so it may be another device.", "Go to the device. If its certificate was renewed, enter the new one in the inventory."},
		EngineChanged:      {"The device did not answer the question.", "Another SNMP engine answers at this address than before, so it may be another device.", "Go to the device. If it was exchanged, correct the inventory and clear it."},
		DeviceSlow:         {"The device was asked, and is left alone.", "It answered far slower than before.", "Look at the device and at what else it has to do, then say with primum devices clear that it may be asked again."},
		DeviceRestarted:    {"The device was asked, and is left alone.", "It started anew soon after it was asked the time before: the question may have been the cause.", "Look at the device and its own log, then say with primum devices clear that it may be asked again."},
		ServiceGone:        {"The device was asked, and is left alone.", "It is there and refuses where it answered this question before: its service has ended.", "Look whether somebody has ended or moved the service, then say with primum devices clear that the device may be asked again."},
		NoPlugin:           {notAsked, "The probe for this kind of question is not running on the agent.", "Look at the agent's log; reinstall the agent if its probes were changed."},
		PluginBreach:       {"The question was not sent.", "The probe proposed bytes that nobody approved, and was ended.", "Treat this as an incident and tell the maker of the probe."},
		PluginFailed:       {"The question was not brought to its end.", "The probe failed: it died, hung, flooded or broke its contract.", "Nothing to do at the device. See the agent's log; a probe that fails three times within an hour is put aside."},
		JournalFailed:      {notAsked, "The agent could not write its record, so it sends nothing.", "Check the disk of the agent."},
		AgentOffline:       {notAsked, "The agent of this site is not connected.", "Check the agent and its network."},
		Stopped:            {notAsked, "The run ended before this question was due.", "Run it again in the next approved time."},
	}
}

// Reasons returns every code.
func Reasons() []Reason {
	var all []Reason
	for r := range catalogue() {
		all = append(all, r)
	}
	return all
}

// Words returns the three sentences of a code. An unknown code gets the words of NotDecided.
func (r Reason) Words() Words {
	c := catalogue()
	if w, ok := c[r]; ok {
		return w
	}
	return c[NotDecided]
}

// Refusal is why something was not done: a value, not an error. The zero value is a refusal too.
type Refusal struct {
	Reason Reason `json:"reason"`
	Detail string `json:"detail,omitempty"` // what in particular, for a person
	Seen   string `json:"seen,omitempty"`   // AddressMoved: the address at which the device's own network card is now, if that is known
}

// Refuse returns a refusal.
func Refuse(r Reason, detail string) *Refusal { return &Refusal{Reason: r, Detail: detail} }

// String is the words of the code with the detail.
func (r Refusal) String() string {
	w := r.Reason.Words()
	if r.Detail == "" {
		return w.String()
	}
	return w.What + " " + w.Why + " (" + r.Detail + ") " + w.Do
}
