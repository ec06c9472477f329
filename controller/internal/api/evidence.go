package api

import (
	"context"
	"errors"
	"strconv"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"primum/controller/internal/store"
	adminv1 "primum/proto/admin/v1"
)

type evidenceService struct {
	adminv1.UnimplementedEvidenceServiceServer
	*API
}

// evidenceOctets bounds the records of one page.
const evidenceOctets = 1 << 20

// ListEvidence implements the call.
func (s *evidenceService) ListEvidence(ctx context.Context, r *adminv1.ListEvidenceRequest) (*adminv1.ListEvidenceResponse, error) {
	name, err := bare(r.GetAgent(), "agents")
	if err != nil {
		return nil, err
	}
	token, limit, err := page(r.GetPageToken(), r.GetPageSize())
	if err != nil {
		return nil, err
	}
	after := uint64(0)
	if token != "" {
		if after, err = strconv.ParseUint(token, 10, 62); err != nil {
			return nil, bad("the page_token is not one of this list")
		}
	}
	a, err := s.Store.Agent(ctx, name)
	if err != nil {
		return nil, s.failed(err, "agent "+name)
	}
	journal := r.GetIncarnation()
	if len(journal) == 0 {
		journal = a.Incarnation
	}
	if len(journal) != 16 {
		return nil, bad("agent %s has no such journal; one is named by 16 octets", name)
	}
	e, err := s.Store.Evidence(ctx, name, journal, after, limit, evidenceOctets)
	if errors.Is(err, store.ErrNotFound) {
		return nil, status.Errorf(codes.NotFound, "there is no signed head of this journal of agent %s yet; an agent signs one at least each minute", name)
	}
	if err != nil {
		return nil, s.failed(err, "record of agent "+name)
	}
	out := &adminv1.ListEvidenceResponse{Incarnation: journal, EvidenceKey: e.Newest.Key, Records: e.Records, FirstSeq: after + 1, Uncovered: e.Stored - min(e.Stored, e.Newest.Size)}
	for _, h := range e.Heads {
		out.Heads = append(out.Heads, &adminv1.SignedHead{Size: h.Size, Note: h.Note})
	}
	if e.Following > 0 {
		out.NextPageToken = next(limit, limit, strconv.FormatUint(e.Following-1, 10))
	}
	return out, nil
}
