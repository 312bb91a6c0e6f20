metadata description = '''
The function app, on Flex Consumption: the whole registry, or its events alone. It runs the package that is deployed to
it; nobody logs in to deploy by a password.
'''

param name string
param location string
param tags object
param identityId string

@description('Identity by which the platform writes and reads the package; no setting names it to the app.')
param packageIdentityId string

@description('Container that the package is deployed to, by its address.')
param packageAddress string

@description('Memory of an instance, which also decides its share of processors.')
param memoryMB int

param maximumInstances int

@description('How many requests an instance takes at a time.')
param concurrency int

@description('How many instances wait for requests; without any the first request waits for one.')
param alwaysReady int

@description('Whether it serves HTTP.')
param servesHttp bool

@description('Subnet that what goes out goes through; none where all is public.')
param subnetId string

param isPrivate bool
param settings object

@description('What the registry is called; unless given, as the platform calls the app.')
param loginServer string

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: 'plan-${name}'
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true }
}

resource app 'Microsoft.Web/sites@2024-11-01' = {
  name: name
  location: location
  tags: union(tags, { 'azd-service-name': 'registry' })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {}, '${packageIdentityId}': {} }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
    #disable-next-line BCP037 // Bicep's types do not have it yet; Flex reads it when the app is made, and never again
    siteScopedCertificatesEnabled: true
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      ftpsState: 'Disabled'
      http20Enabled: true
      minTlsVersion: '1.2'
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageAddress
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: packageIdentityId
          }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        instanceMemoryMB: memoryMB
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReady == 0 ? [] : [{ name: 'http', instanceCount: alwaysReady }]
        triggers: servesHttp ? { http: { perInstanceConcurrency: concurrency } } : null
      }
    }
  }

  resource configured 'config' = {
    name: 'appsettings'
    properties: union(settings, {
      REGISTRY_LOGIN_SERVER: empty(loginServer) ? app.properties.defaultHostName : loginServer
    })
  }

  resource ftp 'basicPublishingCredentialsPolicies' = {
    name: 'ftp'
    properties: { allow: false }
  }

  resource scm 'basicPublishingCredentialsPolicies' = {
    name: 'scm'
    properties: { allow: false }
  }
}

output id string = app.id
output host string = app.properties.defaultHostName
output verificationId string = app.properties.customDomainVerificationId
