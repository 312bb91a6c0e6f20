metadata description = 'Where logs and figures go: a workspace, and Application Insights over it, both for identities alone.'

import { Grant } from 'roles.bicep'

param name string
param location string
param tags object

@description('For how many days logs are kept.')
param days int

@description('Whether what is sent comes from a network alone.')
param isPrivate bool

@description('Who may send figures.')
param grants Grant[]

resource workspace 'Microsoft.OperationalInsights/workspaces@2023-09-01' = {
  name: 'log-${name}'
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: days
    features: { disableLocalAuth: true }
    publicNetworkAccessForIngestion: isPrivate ? 'Disabled' : 'Enabled'
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: 'appi-${name}'
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
    publicNetworkAccessForIngestion: isPrivate ? 'Disabled' : 'Enabled'
  }
}

resource granted 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    name: guid(insights.id, grant.principal, grant.role)
    scope: insights
    properties: {
      principalId: grant.principal
      principalType: grant.?kind
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
    }
  }
]

output workspaceId string = workspace.id
output insightsId string = insights.id
output connectionString string = insights.properties.ConnectionString
