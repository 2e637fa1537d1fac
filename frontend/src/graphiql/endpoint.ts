export { graphqlPath as httpUrl, graphqlSocketUrl as socketUrl } from '../base';
