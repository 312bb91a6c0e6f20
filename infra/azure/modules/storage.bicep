metadata description = '''
One storage account, open to identities alone: a registry's, or the one of the app's package.

It holds what the platform needs before the app has run: the queue of blob events, or the container of the package.
Tables, the other queues and the containers of content are made by the app, and must not be made here. An app that finds
the container of content goes by it that everything was once there; tables that are missing then are lost, and it halts
all removal. A table that a deployment made anew, empty, would look like a registry that needs nothing.

The package is in an account of its own, since a role for the blobs of an account is one for all its containers: who
writes content would write the code that runs.
'''

import { Grant } from 'roles.bicep'

param name string
param location string
param tags object

@description('How storage keeps its copies.')
param sku string

@description('For how many days what was removed can be brought back.')
param softDeleteDays int

@description('Whether networks reach it by private endpoints alone.')
param isPrivate bool

@description('Container of the app\'s package; none in an account of content.')
param packageContainer string = ''

@description('Queue that Event Grid tells of new objects; none in the account of the package.')
param eventQueue string = ''

param grants Grant[]

// Event Grid gets in as a service that Azure trusts, which is let in only where networks are chosen, if none is.
var isTold = !empty(eventQueue)

resource account 'Microsoft.Storage/storageAccounts@2024-01-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: isPrivate && !isTold ? 'Disabled' : 'Enabled'
    networkAcls: {
      defaultAction: isPrivate ? 'Deny' : 'Allow'
      bypass: isPrivate && isTold ? 'AzureServices' : 'None'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
      containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    }

    resource package 'containers' = if (!empty(packageContainer)) {
      name: empty(packageContainer) ? 'none' : packageContainer
    }
  }

  resource queues 'queueServices' = {
    name: 'default'

    resource events 'queues' = if (isTold) {
      name: isTold ? eventQueue : 'none'
    }
  }
}

resource granted 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in grants: {
    name: guid(account.id, grant.principal, grant.role)
    scope: account
    properties: {
      principalId: grant.principal
      principalType: grant.?kind
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
    }
  }
]

output id string = account.id
output blobEndpoint string = account.properties.primaryEndpoints.blob
output queueEndpoint string = account.properties.primaryEndpoints.queue
output tableEndpoint string = account.properties.primaryEndpoints.table
