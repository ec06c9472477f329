package api

import (
	"context"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"primum/controller/internal/enroll"
	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
	list "primum/safetylists"
	"primum/safetylists/release"
)

type agentService struct {
	adminv1.UnimplementedAgentAdminServiceServer
	*API
}

// ListAgents implements the call.
func (s *agentService) ListAgents(ctx context.Context, r *adminv1.ListAgentsRequest) (*adminv1.ListAgentsResponse, error) {
	after, limit, err := page(r.GetPageToken(), r.GetPageSize())
	if err != nil {
		return nil, err
	}
	kept, err := s.Store.Agents(ctx, after, limit)
	if err != nil {
		return nil, s.failed(err, "agents")
	}
	site := ""
	if rel, _, no := s.Safety.Current(s.Now()); no == nil {
		site = rel.List.Site().Name
	}
	out := &adminv1.ListAgentsResponse{}
	for _, a := range kept {
		p := &adminv1.Agent{Name: "agents/" + a.Name, Site: site, State: "OFFLINE", LastSeen: stamp(a.LastSeen), Version: a.Version, SessionEpoch: a.Epoch,
			SealingKey: a.SealingKey, ListDigest: a.ListDigest, HoldVersion: a.HoldAcked, Plugins: a.Plugins, Sandbox: a.Sandbox}
		if w := a.SiteStop; !w.At.IsZero() {
			p.SiteStop = &adminv1.Agent_SiteStop{At: stamp(w.At), By: w.By, Reason: w.Why}
		}
		switch {
		case a.HeadRefused != "":
			p.State, p.Problem = "REFUSED", a.HeadRefused+". A person has to look, and to enrol it anew"
		case s.Lost(a.Name):
			p.State = "RECORDS_LOST"
		case s.Online(a.Name):
			p.State = "CONNECTED"
		case a.Epoch == 0:
			p.State = "ENROLLED"
		}
		if p.State == "OFFLINE" || p.State == "ENROLLED" {
			p.Problem = s.Away(a.Name)
		}
		if p.Problem == "" && a.ListRefused != "" {
			p.Problem = "it does not take the safety list: " + a.ListRefused
		}
		out.Agents = append(out.Agents, p)
		out.NextPageToken = next(len(kept), limit, a.Name)
	}
	return out, nil
}

// CreateEnrollmentToken implements the call.
func (s *agentService) CreateEnrollmentToken(ctx context.Context, r *adminv1.CreateEnrollmentTokenRequest) (*adminv1.EnrollmentToken, error) {
	name, err := bare(r.GetAgent(), "agents")
	if err != nil {
		return nil, err
	}
	if err := enroll.CheckName(name); err != nil {
		return nil, bad("%v", err)
	}
	token, expires, err := enroll.NewToken(ctx, s.Store, name, s.act(ctx, "create enrolment token", "agents/"+name))
	if err != nil {
		return nil, s.failed(err, "the token")
	}
	return &adminv1.EnrollmentToken{Token: token, Expires: timestamppb.New(expires), AuthoritySha256: s.Authority[:]}, nil
}

// SetSecret implements the call. The controller cannot open what it stores.
func (s *agentService) SetSecret(ctx context.Context, r *adminv1.SetSecretRequest) (*adminv1.SetSecretResponse, error) {
	agent, err := bare(r.GetAgent(), "agents")
	if err != nil {
		return nil, err
	}
	device := r.GetDevice()
	if device != "*" {
		if _, err := s.Store.Device(ctx, device); err != nil {
			return nil, s.failed(err, "device "+device)
		}
	}
	kind, most := "", 0
	switch r.GetKind() {
	case adminv1.SetSecretRequest_KIND_COMMUNITY:
		kind, most = store.SecretCommunity, 32
	case adminv1.SetSecretRequest_KIND_USM:
		kind, most = store.SecretUSM, 512
	default:
		return nil, bad("the kind of the secret is missing: a community, or a user of SNMPv3")
	}
	const overhead = 32 + 16 // encapsulated key and tag
	if n := len(r.GetSealed()); n <= overhead || n > overhead+most {
		return nil, bad("the sealed secret has %d octets; it is not one %s", n, kind)
	}
	version, err := s.Store.PutSecret(ctx, store.Secret{Agent: agent, Device: device, Kind: kind, Sealed: r.GetSealed()}, s.act(ctx, "set secret", "agents/"+agent+" "+device))
	if err != nil {
		return nil, s.failed(err, "agent "+agent)
	}
	s.Bell.Ring()
	return &adminv1.SetSecretResponse{Version: version}, nil
}

type listService struct {
	adminv1.UnimplementedListServiceServer
	*API
}

// PublishRelease implements the call.
func (s *listService) PublishRelease(ctx context.Context, r *adminv1.PublishReleaseRequest) (*adminv1.ListRelease, error) {
	if len(r.GetBundle()) == 0 {
		return nil, bad("the release is empty")
	}
	rel, no, err := s.Safety.Publish(ctx, r.GetBundle(), s.act(ctx, "publish release", "list"))
	if err != nil {
		return nil, s.failed(err, "the release")
	}
	if no != nil && no.Reason == list.ListOther { // the words of that reason are of a plan and an agent
		return nil, status.Error(codes.FailedPrecondition, no.Detail+"; nothing was changed")
	}
	if no != nil {
		return nil, refused(*no, nil)
	}
	s.Bell.Ring()
	return listRelease(rel), nil
}

// GetRelease implements the call.
func (s *listService) GetRelease(_ context.Context, _ *adminv1.GetReleaseRequest) (*adminv1.ListRelease, error) {
	rel, _, no := s.Safety.Current(s.Now())
	if no != nil {
		return nil, refused(*no, nil)
	}
	return listRelease(rel), nil
}

func listRelease(r *release.Release) *adminv1.ListRelease {
	return &adminv1.ListRelease{Number: r.Number, Digest: r.Digest[:], Issued: stamp(r.Issued), Expires: stamp(r.Expires),
		Statements: uint32(len(r.List.Statements())), Site: r.List.Site().Name}
}
