metadata description = 'The roles that are given here, by what this project calls them, and how a grant is written.'

@export()
type Grant = {
  @description('Object id of who may.')
  principal: string

  @description('Id of the role: see roles.')
  role: string

  @description('What the principal is; left out of people and groups, whom the deployment looks up.')
  kind: 'ServicePrincipal'?
}

@export()
var roles = {
  blobOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  blobContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  queueContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  queueSender: 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
  tableContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  cryptoUser: '12338af0-0e69-4776-bea7-57ae8d297424'
  metricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
}
